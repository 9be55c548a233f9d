"""Golden samples: which, and that they read as they were written."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protores.bundle import golden
from protores.bundle.contract import Contract, Golden
from protores.errors import BundleError


def test_lowest_middle_and_highest_score_of_good_and_of_two_kinds_of_defects():
    kinds = ["good"] * 5 + ["simulated"] * 4 + ["bent"] * 2 + ["dent"]
    scores = np.array([3, 1, 2, 5, 4, 9, 6, 8, 7, 1, 2, 3], np.float32)
    chosen = golden.choose(kinds, scores)
    assert [(kinds[i], scores[i]) for i in chosen] == [
        ("good", 1), ("good", 3), ("good", 5), ("simulated", 6), ("simulated", 8), ("simulated", 9), ("bent", 1),
        ("bent", 2),
    ]  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from(["good", "bent", "dent"]), st.floats(0, 1)), min_size=1, max_size=20))
def test_few_of_any_pool_each_once(pool):
    kinds, scores = [kind for kind, _ in pool], np.array([score for _, score in pool])
    chosen = golden.choose(kinds, scores)
    assert len(chosen) == len(set(chosen)) <= 9
    assert {kinds[i] for i in chosen} == set(kinds)


@pytest.fixture
def written(folder, rng):
    """A bundle with two golden samples: folder, images, maps."""
    for path in (folder / "golden").iterdir():
        path.unlink()
    (folder / "golden").rmdir()
    images = rng.integers(0, 256, (2, 64, 96, 3), dtype=np.uint8)
    maps = rng.random((2, 64, 96), dtype=np.float32)
    samples = golden.write(folder, images, maps, np.array([0.25, 0.5], np.float32), ["good", "bent"], [None] * 2)
    contract = Contract._parse(folder).model_copy(update={"golden": Golden(bound=1e-4, samples=samples)})
    contract.with_files(folder, *contract.named()).write(folder)
    return folder, images, maps


def test_read_as_written(written):
    folder, images, maps = written
    contract = Contract.read(folder)
    found = golden.read(folder, contract)
    np.testing.assert_array_equal(found[0], images)
    np.testing.assert_array_equal(found[1], maps)
    assert [(s.kind, s.score) for s in contract.golden.samples] == [("good", 0.25), ("bent", 0.5)]


@pytest.mark.parametrize(
    "content",
    [
        np.zeros((64, 95), np.float32),
        np.zeros((64, 96), np.float64),
        np.array([{"a": "pickle"}], object),
        None,
    ],
)
def test_another_size_or_type_or_a_pickle_is_refused(written, content):
    folder, _, _ = written
    path = folder / "golden" / "1.npy"
    if content is None:
        path.write_bytes(b"")
    else:
        np.save(path, content, allow_pickle=True)
    with pytest.raises(BundleError, match="export the bundle anew"):
        golden.read(folder, Contract._parse(folder))


def test_deviation_is_the_largest_difference_and_no_number_stays_none():
    maps = np.zeros((3, 2, 2), np.float32)
    other = maps.copy()
    other[0, 0, 1], other[1, 1, 1] = -0.5, np.nan
    found = golden.deviations(other, maps)
    assert found[0] == 0.5
    assert np.isnan(found[1])
    assert found[2] == 0
