"""What two contrasts have in common: where edges lie and how they run, whatever their sign.

* A gradient and its opposite are one edge. Its outer product with itself, three numbers a pixel,
  forgets the sign and keeps the direction [1]_; the inner product of two such is the squared
  cosine between the edges, which normalised gradient fields maximise [2]_.
* Products are divided by the gradient's own power plus a floor taken from the picture: a strong
  edge of one sensor may be a weak one of the other, and both say where it is.
* A slow mean is taken away, so that a textured half beside a smooth one is no feature.

References
----------
.. [1] Bigün and Granlund: Optimal orientation detection of linear symmetry, ICCV 1987.
.. [2] Haber and Modersitzki: Intensity gradient based registration and fusion of multi-modal
   images, MICCAI 2006.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

SMOOTHING = 1.5
BETWEEN = 0.7
WITHIN = 0.9
_SLOW = 16
_LEAST_HOLE = 12


class Picture(NamedTuple):
    """A picture without holes, and where it was measured.

    ``values`` (y, x) float32, holes filled with the nearest measurement; ``seen`` (y, x) bool.
    """

    values: NDArray[np.float32]
    seen: NDArray[np.bool_]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, px."""
        return self.values.shape[0], self.values.shape[1]


class Edges(NamedTuple):
    """Edges of a picture: ``tensor`` (3, y, x) float32, ``sure`` (y, x) bool where they count."""

    tensor: NDArray[np.float32]
    sure: NDArray[np.bool_]


def picture_of(values: Floats) -> Picture:
    """Fill a picture's holes.

    Parameters
    ----------
    values : float array (y, x)
        NaN where blind.

    Returns
    -------
    Picture
        Holes of a few pixels, as dead pixels leave them, count as seen.
    """
    from scipy.ndimage import distance_transform_edt, label

    found = np.asarray(values, dtype=np.float32)
    seen: NDArray[np.bool_] = np.array(np.isfinite(found), dtype=np.bool_)
    if seen.all():
        return Picture(found, seen)
    if not seen.any():
        return Picture(np.zeros_like(found), seen)
    nearest = distance_transform_edt(~seen, return_distances=False, return_indices=True)
    holes, _ = label(~seen)
    small = np.bincount(holes.ravel()) <= _LEAST_HOLE
    filled = found[tuple(nearest)]
    dead = small[holes] & ~seen
    filled[dead] = _around(filled, seen)[dead]
    seen[dead] = True
    return Picture(filled, seen)


def _around(values: NDArray[np.float32], seen: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Average what was seen near each pixel: a dead pixel is to leave no edge in its place."""
    from scipy.ndimage import gaussian_filter

    counted = seen.astype(np.float32)
    total = gaussian_filter(values * counted, SMOOTHING)
    return np.asarray(total / (gaussian_filter(counted, SMOOTHING) + np.float32(1e-6)))


def halved(picture: Picture) -> Picture:
    """Give a picture of half the size; a pixel is seen where all four were."""
    height, width = (side // 2 for side in picture.size)
    cut = (slice(0, 2 * height), slice(0, 2 * width))
    fours = picture.values[cut].reshape(height, 2, width, 2)
    seen = picture.seen[cut].reshape(height, 2, width, 2)
    whole: NDArray[np.bool_] = np.array(seen.all((1, 3)), dtype=np.bool_)
    return Picture(fours.mean((1, 3), dtype=np.float32), whole)


def edges_of(picture: Picture, floor: float = BETWEEN) -> Edges:
    """Find a picture's edges.

    Parameters
    ----------
    picture : Picture
    floor : float
        The quantile of the gradient's power that counts half. Between contrasts (``BETWEEN``)
        weak edges have a say, because strong ones may be another sensor's weak ones; within one
        contrast (``WITHIN``) strong edges are strong in both, and noise has less of a say.

    Returns
    -------
    Edges
        Nowhere sure when there is no gradient at all.
    """
    from scipy.ndimage import binary_erosion, gaussian_filter, uniform_filter

    smooth = gaussian_filter(picture.values, SMOOTHING, truncate=3.0)
    right, down = slope_of(smooth)
    across, along, both = right * right, down * down, right * down
    power = across + along
    margin = int(np.ceil(2 * SMOOTHING)) + 1
    sure = binary_erosion(picture.seen, iterations=margin)
    known = power[sure][::7]
    usual = float(np.quantile(known, floor)) if known.size else 0.0
    if usual <= 0:
        return Edges(np.zeros((3, *picture.size), np.float32), np.zeros_like(sure))
    share = np.float32(1) / (power + np.float32(usual))
    tensor = np.stack([(across - along) * share, 2 * both * share, power * share])
    wide = int(_SLOW * SMOOTHING) | 1
    counted = picture.seen.astype(np.float32)
    weight = uniform_filter(counted, wide) + np.float32(1e-3)
    for plane in tensor:
        plane -= uniform_filter(plane * counted, wide) / weight
    return Edges(tensor, sure)


def slope_of(planes: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Give the slopes of pictures (…, y, x) to the right and down, a px; 0 at the rim."""
    right, down = np.zeros_like(planes), np.zeros_like(planes)
    right[..., 1:-1] = (planes[..., 2:] - planes[..., :-2]) * np.float32(0.5)
    down[..., 1:-1, :] = (planes[..., 2:, :] - planes[..., :-2, :]) * np.float32(0.5)
    return right, down
