import numpy as np
import pytest
import torch

from protores.model.maps import MappedMaps


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_reads_and_writes_like_a_tensor(tmp_path, dtype):
    expected = torch.randn(6, 3, 4, 5, generator=torch.Generator().manual_seed(0)).to(dtype)
    (tmp_path / "maps").write_bytes(bytes(expected.nbytes))
    maps = MappedMaps(tmp_path / "maps", (6, 3, 4, 5), dtype)
    for start in range(0, 6, 4):
        maps[start : start + 4] = expected[start : start + 4]
    assert (len(maps), maps.shape) == (6, expected.shape)
    for index in (slice(None), slice(1, 4), torch.tensor([5, 0, 0]), 3):
        assert torch.equal(maps[index], expected[index])
    assert maps[:].is_contiguous(memory_format=torch.channels_last)
    one, other = maps.split([2, 4])
    assert torch.equal(one[:], expected[:2])
    assert torch.equal(other[torch.tensor([3, 1])], expected[[5, 3]])
    assert torch.equal(other.split([1, 3])[1][:], expected[3:])


def test_a_part_is_unmapped_when_it_is_let_go(tmp_path):
    (tmp_path / "maps").write_bytes(bytes(4 * 6 * 60))
    maps = MappedMaps(tmp_path / "maps", (6, 3, 4, 5), torch.float32)

    def mapped() -> int:
        with open("/proc/self/maps") as file:
            return sum(str(tmp_path) in line for line in file)

    held = maps[1:3]
    assert mapped() == 1
    copied = maps[torch.tensor([1, 2])]
    assert mapped() == 1
    del held
    assert mapped() == 0
    np.testing.assert_array_equal(copied, np.zeros((2, 3, 4, 5)))
