"""Many images of one size that do not fit in memory: each is read when it is asked for, and let go of after."""

from collections.abc import Callable, Iterator
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Frames:
    """N arrays of one shape and type, indexed as the array N x ... would be that holds them all.

    A number gives the array at that place, which is not to be written to; a slice or several numbers give a new array
    of them, stacked. read: a place to its array; it is pickled along to the processes that make batches.
    """

    def __init__(
        self,
        read: Callable[[int], NDArray[Any]],
        count: int,
        shape: tuple[int, ...],
        dtype: type,
        places: NDArray[np.int64] | None = None,
    ) -> None:
        self._read = read
        self._places = np.arange(count) if places is None else places
        self._frame = shape
        self.dtype = np.dtype(dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self), *self._frame)

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return (self._read(int(place)) for place in self._places)

    @overload
    def __getitem__(self, index: int | np.integer) -> NDArray[Any]: ...

    @overload
    def __getitem__(self, index: slice | ArrayLike) -> NDArray[Any]: ...

    def __getitem__(self, index: Any) -> NDArray[Any]:
        chosen = self._places[index]
        if np.ndim(chosen) == 0:
            return self._read(int(chosen))
        stacked = np.empty((len(chosen), *self._frame), self.dtype)
        for row, place in zip(stacked, chosen, strict=True):
            row[...] = self._read(int(place))
        return stacked

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """All of them in memory, for numpy's functions."""
        return self[:].astype(dtype or self.dtype, copy=False)

    def select(self, places: NDArray[np.int64]) -> "Frames":
        """Some of them, in that order, none of them read."""
        return Frames(self._read, len(places), self._frame, self.dtype.type, self._places[places])
