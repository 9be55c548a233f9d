"""Exact copies, by pixels."""

from pathlib import Path


def test_copies_across_parts_and_kinds(mvtec: Path, found):
    image = (mvtec / "train/good/005.png").read_bytes()
    (mvtec / "test/good/001.png").write_bytes(image)
    (mvtec / "test/dent/001.png").write_bytes(image)
    rules = found(mvtec)
    (contradictory,) = rules["copy-contradictory"]
    assert "the same pixels are dent here and good in" in contradictory.message
    (across,) = rules["copy-across"]
    assert "are in train and in test with the same pixels" in across.message
    assert {path.name for path in across.paths} == {"001.png", "005.png"}
    (copy,) = rules["copy"]
    assert (copy.severity, copy.message) == ("note", "2 images are exact copies of others")
    assert "near-copy" not in rules


def test_no_copies_no_word(mvtec: Path, found):
    assert not [rule for rule in found(mvtec) if "copy" in rule]
