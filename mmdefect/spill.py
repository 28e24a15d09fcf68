"""Maps of a whole test set on disk, so that memory does not grow with it.

Pixel metrics need every map more than once, and the maps of a test set are far larger than its
verdicts. They go to two files per category in the work folder and are mapped one capture at a
time: pages of a mapping that stays open count as memory held.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np


class MapSpill:
    """Maps and ground truth of one category's test captures.

    Parameters
    ----------
    folder : Path
        An existing folder for the files.
    captures : int
        How many captures there will be.
    names : sequence of str
        The maps of a capture: its sensors, then ``fused``.
    size : (int, int)
        Height and width in pixels.
    known : collection of int, optional
        Go on with the files that are there, in which the truth of these captures is known.
    own : mapping of int to (int, int), optional
        Height and width before padding of the captures that are there and were padded.
    """

    def __init__(
        self,
        folder: Path,
        captures: int,
        names: Sequence[str],
        size: tuple[int, int],
        known: Collection[int] | None = None,
        own: Mapping[int, tuple[int, int]] | None = None,
    ) -> None:
        self.names = tuple(names)
        self._maps, self._truth = folder / "maps.npy", folder / "truth.npy"
        shape = (captures, len(self.names), *size)
        if known is None:
            np.lib.format.open_memmap(self._maps, "w+", np.float32, shape)
            np.lib.format.open_memmap(self._truth, "w+", np.bool_, (captures, *size))
        self._known = set(known or ())
        self._own = dict(own or {})

    def put(
        self,
        index: int,
        maps: np.ndarray,
        defect: np.ndarray | None,
        own: tuple[int, int] | None = None,
    ) -> None:
        """Store one capture's maps.

        Parameters
        ----------
        index : int
        maps : float32 array (map, y, x)
            NaN where there is no evidence.
        defect : bool array (y, x) or None
            None where the truth is not known.
        own : (int, int), optional
            Height and width before padding, where the capture was padded: what was added is no
            good pixel, and is not given back.
        """
        if own is not None:
            self._own[index] = own
        np.load(self._maps, mmap_mode="r+")[index] = maps
        if defect is not None:
            np.load(self._truth, mmap_mode="r+")[index] = defect
            self._known.add(index)

    def view(self, name: str, indices: Sequence[int]) -> "SpillView":
        """Give one kind of map of chosen captures, leaving out those of unknown truth.

        Parameters
        ----------
        name : str
        indices : sequence of int

        Returns
        -------
        SpillView
        """
        return self.joined([name], indices, lambda maps: maps[0])

    def joined(
        self, names: Sequence[str], indices: Sequence[int], join: Callable[[np.ndarray], np.ndarray]
    ) -> "SpillView":
        """Give several maps of chosen captures as one, leaving out those of unknown truth.

        Parameters
        ----------
        names : sequence of str
        indices : sequence of int
        join : callable
            Makes one map (y, x) of those named (map, y, x).

        Returns
        -------
        SpillView
        """
        known = [index for index in indices if index in self._known]
        columns = [self.names.index(name) for name in names]
        return SpillView(self._maps, self._truth, columns, known, self._own, join)


class SpillView:
    """Pairs of a map and its truth, read from disk each time they are gone through."""

    def __init__(
        self,
        maps: Path,
        truth: Path,
        columns: Sequence[int],
        indices: Sequence[int],
        own: Mapping[int, tuple[int, int]],
        join: Callable[[np.ndarray], np.ndarray],
    ) -> None:
        self._maps = maps
        self._truth = truth
        self._columns = list(columns)
        self._join = join
        self._indices = list(indices)
        self._own = own

    def __len__(self) -> int:
        """Count the captures."""
        return len(self._indices)

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Go through map (y, x) and truth (y, x), bool."""
        for index in self._indices:
            height, width = self._own.get(index, (None, None))
            maps = np.load(self._maps, mmap_mode="r")[index, self._columns, :height, :width]
            truth = np.load(self._truth, mmap_mode="r")[index, :height, :width]
            yield self._join(np.array(maps)), np.array(truth)
