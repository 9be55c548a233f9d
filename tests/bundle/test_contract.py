"""A contract that is as it should be reads as it was written; every other one is one line with a cure."""

import json
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protores.bundle.contract import Contract, Decision, sha256_of
from protores.errors import BundleError

IN_PLACE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture
def edit(folder):
    """edit("decision.min_area", 3): changes contract.json as a person would."""

    def change(key, value):
        path = folder / "contract.json"
        values = json.loads(path.read_text())
        *sections, name = key.split(".")
        at = values
        for section in sections:
            at = at[int(section) if isinstance(at, list) else section]
        at[name] = value
        path.write_text(json.dumps(values))

    return change


def test_reads_as_written(folder):
    contract = Contract.read(folder)
    contract.write(folder)
    assert Contract.read(folder) == contract
    assert contract.image.size == (64, 96)
    assert set(contract.files) == {"model.onnx", "golden/0.png", "golden/0.npy"}


def test_loads_no_torch_and_no_opencv():
    code = """import sys, protores.bundle.contract
assert not {"torch", "cv2", "numpy", "onnxruntime"} & set(sys.modules)"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_decision_can_be_edited_by_hand(folder, edit):
    (folder / "roi.png").write_bytes(b"an image")
    for key, value in {
        "map_threshold": 0.5, "bad_above": 0.75, "good_below": 0, "min_area": 2.5, "unit": "mm2", "mm_per_px": 0.1,
        "roi": "roi.png", "calibration": {"anything": [1, None, {"a": True}]},
    }.items():  # fmt: skip
        edit(f"decision.{key}", value)
    with pytest.raises(BundleError, match="files lacks roi.png; add") as refusal:
        Contract.read(folder)
    name, digest = str(refusal.value).split('"')[1::2]
    edit("files", json.loads((folder / "contract.json").read_text())["files"] | {name: digest})
    decision = Contract.read(folder).decision
    assert (decision.good_below, decision.bad_above, decision.min_area) == (0, 0.75, 2.5)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("decision.map_threshold", 1.5, "decision.map_threshold: .*less than or equal to 1"),
        ("decision.map_threshold", "0.5", "decision.map_threshold: .*valid number"),
        ("decision.good_below", 0.9, "decision: good_below lies above bad_above; write the smaller"),
        ("decision.good_below", None, "decision: only one of good_below and bad_above is set; set both"),
        ("decision.min_area", -1, "decision.min_area: .*greater than or equal to 0; it was '-1'"),
        ("decision.min_area", float("nan"), "is not JSON .NaN is no number in JSON"),
        ("decision.calibration", {"asked": {"max_miss": float("inf")}}, "is not JSON .Infinity is no number in JSON"),
        ("decision.unit", "mm2", "decision: unit is mm2 without a scale; set mm_per_px"),
        ("decision.unit", "inch", "decision.unit: .*'px' or 'mm2'"),
        ("decision.mm_per_px", 0, "decision.mm_per_px: .*greater than 0"),
        ("decision.ignore", "../ignore.png", "decision.ignore: "),
        ("decision.ignore", "gone.png", "gone.png is missing"),
        ("decision.roi", "/etc/passwd", "decision.roi: "),
        ("decision.threshold", 0.5, "decision.threshold: Extra inputs are not permitted"),
        ("model.file", "golden/../../model.onnx", "model.file"),
        ("model.file", "C:model.onnx", "model.file"),
        ("model.file", "..", "model.file"),
        ("model.file", "model.xml", "model: file of the format onnx ends with .onnx"),
        ("golden.samples", [], "golden.samples: "),
        ("map.size", [32, 32], "map.size differs from image.size"),
        ("image.colour", "BGR", "image.colour: Input should be 'RGB'"),
        ("files.model\n", "00", "files.model"),
        ("format", "zip", 'format is not "protores-bundle"; pass a folder'),
        ("version", 3, "version is not 1 or 2; export the run anew, or update protores"),
        ("version", 2, "version 2 alone has products and model.distances"),
        ("model.distances", "far", "version 2 alone has products and model.distances"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_cure(folder, edit, key, value, told):
    edit("decision.bad_above", 0.8)
    edit("decision.good_below", 0.2)
    edit(key, value)
    with pytest.raises(BundleError, match=told) as refusal:
        Contract.read(folder)
    assert "\n" not in str(refusal.value)
    assert ";" in str(refusal.value)


@pytest.mark.parametrize("name", ["model.onnx", "golden/0.png", "golden/0.npy"])
@pytest.mark.parametrize("where", [0, -1])
def test_a_flipped_bit_is_found(folder, name, where):
    content = bytearray((folder / name).read_bytes())
    content[where] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(BundleError, match=f"{name} was changed: .*copy the bundle again"):
        Contract.read(folder)


def test_a_missing_file_is_found(folder):
    (folder / "golden" / "0.npy").unlink()
    with pytest.raises(BundleError, match="0.npy is missing"):
        Contract.read(folder)


@pytest.mark.parametrize("name", ["model.onnx", "golden"])
def test_a_link_out_of_the_bundle_is_refused(folder, tmp_path, name):
    (folder / name).rename(tmp_path / "elsewhere")
    (folder / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match="leads out of the bundle"):
        Contract.read(folder)


def test_what_is_no_bundle_is_said_to_be_none(folder, tmp_path):
    for place in (tmp_path, tmp_path / "nowhere", folder / "model.onnx"):
        with pytest.raises(BundleError, match="is no bundle .*pass a folder that export wrote"):
            Contract.read(place)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"format": NaN}'])
def test_what_is_no_json_is_one_line(folder, text):
    (folder / "contract.json").write_bytes(text)
    with pytest.raises(BundleError) as refusal:
        Contract.read(folder)
    assert "\n" not in str(refusal.value)


def test_a_wrong_contract_is_never_written(folder):
    before = (folder / "contract.json").read_bytes()
    wrong = Contract.read(folder).model_copy(update={"decision": Decision.model_construct(min_area=-1.0)})
    with pytest.raises(BundleError, match="min_area"):
        wrong.write(folder)
    assert (folder / "contract.json").read_bytes() == before


def test_a_replaced_mask_gets_its_hash_and_a_dropped_one_leaves_none(folder):
    (folder / "ignore.png").write_bytes(b"an image")
    contract = Contract.read(folder).model_copy(update={"decision": Decision(ignore="ignore.png")})
    contract = contract.with_files(folder, "ignore.png")
    contract.write(folder)
    assert Contract.read(folder).files["ignore.png"] == sha256_of(folder / "ignore.png")
    contract.model_copy(update={"decision": Decision()}).with_files(folder).write(folder)
    assert "ignore.png" not in Contract.read(folder).files


def test_openvino_names_its_weights_too(folder):
    (folder / "model.xml").write_bytes(b"")
    contract = Contract.read(folder)
    model = contract.model.model_copy(update={"file": "model.xml", "format": "openvino"})
    contract = contract.model_copy(update={"model": model}).with_files(folder, "model.xml")
    with pytest.raises(BundleError, match="model.bin is missing"):
        contract.write(folder)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def refusal(folder):
    """The message that refuses the contract, or the contract."""
    try:
        return "", Contract.read(folder)
    except BundleError as error:
        return str(error), None


def paths(values, path=()):
    yield path
    items = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for key, inner in items:
        yield from paths(inner, (*path, key))


@IN_PLACE
@given(data=st.data())
def test_whatever_is_edited_it_reads_or_is_one_line(folder, data):
    """Any value in any place, and any key missing."""
    path = folder / "contract.json"
    text = path.read_text()
    try:
        values = json.loads(text)
        where = data.draw(st.sampled_from(list(paths(values))[1:]))
        at = values
        for key in where[:-1]:
            at = at[key]
        if data.draw(st.booleans()):
            at[where[-1]] = data.draw(JSON)
        else:
            del at[where[-1]]
        path.write_text(json.dumps(values))
        told, contract = refusal(folder)
        if contract is None:
            assert "\n" not in told
            assert ";" in told
        else:
            assert Contract.model_validate_json(contract.model_dump_json()) == contract
    finally:
        path.write_text(text)


@IN_PLACE
@given(text=st.binary(max_size=64))
def test_any_bytes_are_one_line(folder, text):
    path = folder / "contract.json"
    kept = path.read_bytes()
    path.write_bytes(text)
    try:
        with pytest.raises(BundleError):
            Contract.read(folder)
    finally:
        path.write_bytes(kept)


def two_products(**first):
    return [
        {"name": "board", "kinds": ["bent"], "seen_kinds": [], "decision": {}} | first,
        {"name": "lid", "kinds": [], "seen_kinds": [], "decision": {"map_threshold": 0.5}},
    ]


@pytest.fixture
def several(edit):
    edit("version", 2)
    edit("model.distances", "product_distances")
    edit("products", two_products())
    edit("decision", {})
    edit("golden.samples.0.product", "lid")


def test_a_contract_of_one_product_has_no_word_of_several(folder):
    text = (folder / "contract.json").read_text()
    assert not any(word in text for word in ("products", "distances", '"product": null'))


def test_a_contract_of_several_products_has_a_decision_of_each(folder, several):
    contract = Contract.read(folder)
    assert [product.decision.map_threshold for product in contract.products] == [None, 0.5]
    contract.write(folder)
    assert Contract.read(folder) == contract


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("products", two_products(name="lid"), "two products have one name"),
        ("products", two_products()[:1], "products: "),
        ("products", two_products(decision={"good_below": 0.5}), "products.0.decision: only one of good_below"),
        ("decision.map_threshold", 0.5, "decision is set beside products"),
        ("golden.samples.0.product", "cap", "a golden sample is of no product"),
        ("products", two_products(decision={"ignore": "mask.png"}), "mask.png is missing"),
    ],
)
def test_what_is_wrong_with_several_products_is_named(folder, several, edit, key, value, told):
    edit(key, value)
    with pytest.raises(BundleError, match=told):
        Contract.read(folder)
