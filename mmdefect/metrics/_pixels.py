"""Score maps as keys that sort like their scores.

* Unsigned integers compare the same everywhere: no NaN, one zero, and NumPy sorts them in vector
  registers.
* Defect-free pixels carry nothing but their key, so a capture costs four bytes a pixel; only the
  few defect pixels also carry a weight.
* A defect pixel weighs one over the size of its region, so that the mean overlap over regions is
  a plain sum over pixels.
"""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label

from mmdefect.errors import SceneError

Keys = NDArray[np.uint32]
Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

_SIGN_BIT = np.uint32(1 << 31)
_EIGHT_NEIGHBORS = np.ones((3, 3), dtype=np.bool_)


class Maps(Protocol):
    """Captures as (score map, mask), which can be counted and read again and again."""

    def __len__(self) -> int:
        """Count the captures."""

    def __iter__(self) -> Iterator[tuple[NDArray[np.float32], NDArray[np.bool_]]]:
        """Read the captures."""


class Pixels(NamedTuple):
    """The pixels of one capture.

    ``good`` holds the keys of defect-free pixels, ``defect`` those of defect pixels, ``weight``
    what each defect pixel contributes to the overlap, ``regions`` the number of defect regions.
    """

    good: Keys
    defect: Keys
    weight: Floats
    regions: int


class Reader:
    """Reads the maps as pixels, each time it is iterated over."""

    def __init__(self, maps: Maps) -> None:
        self._maps = maps

    def __iter__(self) -> Iterator[Pixels]:
        """Read every capture once."""
        number = 0
        for number, (score_map, mask) in enumerate(self._maps, start=1):
            yield capture_pixels(score_map, mask, f"capture {number} of {len(self._maps)}")
        if number != len(self._maps):
            raise SceneError(
                f"{number} captures were read, but {len(self._maps)} were promised; give maps that "
                "can be read more than once, such as a list"
            )


def capture_pixels(score_map: NDArray[np.float32], mask: NDArray[np.bool_], capture: str) -> Pixels:
    """Split one capture into defect-free and defect pixels.

    Parameters
    ----------
    score_map : float32 array (y, x)
        Scores, higher is worse. A pixel without a finite score takes the map's lowest one.
    mask : bool array (y, x)
        True where the part is defective.
    capture : str
        How an error calls the capture.

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
    keys = score_keys(score_map)
    if not mask.any():
        return Pixels(keys, keys[:0], np.empty(0), 0)
    marked = mask.ravel()
    weight, regions = overlap_weights(mask)
    return Pixels(keys[~marked], keys[marked], weight, regions)


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
    scores = score_map.ravel()
    finite = np.isfinite(scores)
    if not finite.all():
        if not finite.any():
            return np.zeros(scores.size, dtype=np.uint32)
        scores = np.where(finite, scores, scores[finite].min())
    bits = (scores + np.float32(0)).view(np.uint32)  # the sum turns -0 into 0
    negative = (bits.view(np.int32) >> 31).view(np.uint32)
    return bits ^ (negative | _SIGN_BIT)


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
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    labels, regions = label(box, structure=_EIGHT_NEIGHBORS)
    region = labels[box]
    return 1 / np.bincount(region)[1:][region - 1], int(regions)


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
