"""Score maps as keys that sort like their scores.

* Unsigned integers compare the same everywhere: no NaN, one zero, and NumPy sorts them in vector
  registers.
* Defect-free pixels carry nothing but their key, so a capture costs four bytes a pixel; only the
  few defect pixels also carry a weight.
* A defect pixel weighs one over the size of its region, so that the mean overlap over regions is
  a plain sum over pixels.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from mmdefect.errors import SceneError
from mmdefect.metrics._counting import keys_of, keys_outside
from mmdefect.metrics._regions import weigh

Keys = NDArray[np.uint32]
Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


class Maps(Protocol):
    """Captures as (score map, mask), which can be counted and read again and again."""

    def __len__(self) -> int:
        """Count the captures."""

    def __iter__(self) -> Iterator[tuple[NDArray[np.float32], NDArray[np.bool_]]]:
        """Read the captures."""


class Pixels(NamedTuple):
    """The pixels of one capture.

    ``good`` holds the keys of defect-free pixels, ``defect`` those of defect pixels, ``weight``
    what each defect pixel contributes to the overlap, ``regions`` the number of defect regions,
    ``outside`` that of defect-free pixels, also where their keys were not wanted.
    """

    good: Keys
    defect: Keys
    weight: Floats
    regions: int
    outside: int


class Reader:
    """Reads the maps as pixels, each time it is iterated over."""

    def __init__(self, maps: Maps) -> None:
        self._maps = maps

    def __iter__(self) -> Iterator[Pixels]:
        """Read every capture once."""
        return self.each(lambda: True)

    def each(self, good: Callable[[], bool]) -> Iterator[Pixels]:
        """Read every capture once; its defect-free pixels are only counted unless wanted."""
        for score_map, mask, capture in self.checked():
            yield capture_pixels(score_map, mask, capture, good())

    def marked(self) -> Iterator[Pixels]:
        """Read every capture's defect pixels once."""
        return self.each(lambda: False)

    def checked(self) -> Iterator[tuple[NDArray[np.float32], NDArray[np.bool_], str]]:
        """Go through the maps, the masks and how an error calls the captures, and count them."""
        number = 0
        for number, (score_map, mask) in enumerate(self._maps, start=1):
            capture = f"capture {number} of {len(self._maps)}"
            score_map, mask = np.asarray(score_map), np.asarray(mask)
            _check(score_map, mask, capture)
            yield score_map, mask, capture
        if number != len(self._maps):
            raise SceneError(
                f"{number} captures were read, but {len(self._maps)} were promised; give maps that "
                "can be read more than once, such as a list"
            )


def capture_pixels(
    score_map: NDArray[np.float32], mask: NDArray[np.bool_], capture: str, good: bool = True
) -> Pixels:
    """Split one capture into defect-free and defect pixels.

    Parameters
    ----------
    score_map : float32 array (y, x)
        Scores, higher is worse. A pixel without a finite score takes the map's lowest one.
    mask : bool array (y, x)
        True where the part is defective.
    capture : str
        How an error calls the capture.
    good : bool
        Whether defect-free pixels are wanted, or their number alone.

    Returns
    -------
    Pixels
        Its keys, in no promised order.

    Raises
    ------
    SceneError
        When map and mask are not what was promised.
    """
    score_map, mask = np.asarray(score_map), np.asarray(mask)
    _check(score_map, mask, capture)
    outside = mask.size - int(np.count_nonzero(mask))
    keys = good_keys(score_map, mask) if good else np.empty(0, dtype=np.uint32)
    if outside == mask.size:
        return Pixels(keys, keys[:0], np.empty(0), 0, outside)
    box = _box(mask)
    weight, regions = overlap_weights(mask[box])
    defect = _defect_keys(score_map[box][mask[box]], score_map)
    return Pixels(keys, defect, weight, regions, outside)


def good_keys(score_map: NDArray[np.float32], mask: NDArray[np.bool_]) -> Keys:
    """Give the keys of the pixels outside a mask, as ``capture_pixels`` does."""
    keys = np.empty(mask.size, dtype=np.uint32)
    return keys[: write_good(score_map, mask, 0, keys)]


def write_good(
    score_map: NDArray[np.float32], mask: NDArray[np.bool_], floor: int, keys: Keys
) -> int:
    """Write the keys of the pixels outside a mask, but none below a floor.

    Parameters
    ----------
    score_map : float32 array (y, x)
    mask : bool array (y, x)
    floor : int
    keys : uint32 array (pixel,)
        At least as many as the map has; written to.

    Returns
    -------
    int
        How many were written.
    """
    scores, marked = np.ascontiguousarray(score_map), np.ascontiguousarray(mask)
    size, finite = keys_outside(scores.view(np.uint32), marked, np.uint32(floor), keys)
    if finite:
        return size
    lowest = _lowest(score_map)
    if lowest is None:
        size = 0 if floor else mask.size - int(np.count_nonzero(mask))
        keys[:size] = 0
        return size
    scores = np.where(np.isfinite(scores), scores, lowest)
    return keys_outside(scores.view(np.uint32), marked, np.uint32(floor), keys)[0]


def _defect_keys(scores: NDArray[np.float32], score_map: NDArray[np.float32]) -> Keys:
    """Give the keys of some scores of a map."""
    keys = np.empty(scores.size, dtype=np.uint32)
    if not keys_of(scores.view(np.uint32), keys):
        lowest = _lowest(score_map)
        if lowest is None:
            return np.zeros_like(keys)
        keys_of(np.where(np.isfinite(scores), scores, lowest).view(np.uint32), keys)
    return keys


def _lowest(score_map: NDArray[np.float32]) -> np.float32 | None:
    """Give the lowest finite score of a map; None where there is none."""
    finite = score_map[np.isfinite(score_map)]
    return np.float32(finite.min()) if finite.size else None


def score_keys(score_map: NDArray[np.float32]) -> Keys:
    """Map scores to integers of the same order.

    Parameters
    ----------
    score_map : float32 array (y, x)
        Scores; one that is not finite counts as the lowest finite one.

    Returns
    -------
    uint32 array (pixel,)
        Keys in the map's order. Equal scores, and only they, have equal keys; a map without any
        finite score has keys of 0, below every score.
    """
    return good_keys(score_map, np.zeros(score_map.shape, dtype=bool))


def overlap_weights(mask: NDArray[np.bool_]) -> tuple[Floats, int]:
    """Weigh defect pixels by their region.

    Parameters
    ----------
    mask : bool array (y, x)
        True where the part is defective, somewhere at least.

    Returns
    -------
    weight : float64 array (defect pixel,)
        One over the size in pixels of the region, in the order of ``mask``; pixels that touch at
        a side or a corner belong to one region.
    regions : int
        Number of regions.
    """
    weight = np.empty(np.count_nonzero(mask))
    regions = weigh(np.ascontiguousarray(mask), weight)
    return weight, regions


def _box(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Give the rows and columns that hold all marked pixels, of which there is one at least."""
    rows = np.flatnonzero(mask.any(axis=1))
    high = slice(rows[0], rows[-1] + 1)
    columns = np.flatnonzero(mask[high].any(axis=0))
    return high, slice(columns[0], columns[-1] + 1)


def _check(score_map: NDArray[np.float32], mask: NDArray[np.bool_], capture: str) -> None:
    """Say what is wrong with a capture."""
    if score_map.dtype != np.float32 or score_map.ndim != 2:
        raise SceneError(
            f"the score map of {capture} is {score_map.dtype} of shape {score_map.shape}, but "
            "float32 (y, x) was promised; give one map a capture, converted with astype('float32')"
        )
    if mask.dtype != np.bool_ or mask.shape != score_map.shape:
        raise SceneError(
            f"the mask of {capture} is {mask.dtype} of shape {mask.shape}, but bool of the score "
            f"map's shape {score_map.shape} was promised; bring both onto one grid and compare "
            "the mask with 0"
        )
