"""What the extractors of geometry share: lengths held against units, thinning, pooling.

* A radius in mm means nothing in a cloud without a unit, and nothing in a depth map, whose pixels
  have no place across: both are refused. Without a radius the pixel pitch of good parts is the
  measure, which needs no unit.
* A radius of many pixels is described on every n-th row and column: what 60 neighbours do not
  tell, 600 seldom do. n is fixed by the pitch of good parts, so that all parts are described
  alike.
"""

from collections.abc import Sequence
from numbers import Real

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch.nn.functional import adaptive_avg_pool2d

from mmdefect.errors import FeatureError
from mmdefect.features._patches import as_patches, pool_neighbours
from mmdefect.geometry.grid import check_cloud, median_pitch

USUAL_PITCHES = 6.0
_LEAST_PITCHES = 1.5


def check_length(name: str, length: object) -> float | None:
    """Refuse an option that is no length.

    Parameters
    ----------
    name : str
        The option.
    length : object
        A positive number, or None.

    Returns
    -------
    float or None

    Raises
    ------
    FeatureError
        When it is anything else.
    """
    if length is None:
        return None
    if isinstance(length, Real) and not isinstance(length, bool) and 0 < float(length) < np.inf:
        return float(length)
    raise FeatureError(
        f"{name} is {length!r}, but a length above 0 in mm was promised; correct the spec of the "
        "features"
    )


def check_count(name: str, count: object) -> int:
    """Refuse an option that is no number of pixels.

    Parameters
    ----------
    name : str
        The option.
    count : object
        A whole number above 0.

    Returns
    -------
    int

    Raises
    ------
    FeatureError
        When it is anything else.
    """
    if isinstance(count, int) and not isinstance(count, bool) and count > 0:
        return count
    raise FeatureError(
        f"{name} is {count!r}, but a number of pixels above 0 was promised; correct the spec of "
        "the features"
    )


def cloud_of(frame: xr.DataArray, extractor: str, lengths: bool) -> NDArray[np.float32]:
    """Give a frame's coordinates.

    Parameters
    ----------
    frame : DataArray (axis, y, x), float32
        With attrs ``modality`` and ``units``; NaN where blind.
    extractor : str
        Who asks, for the message.
    lengths : bool
        Whether lengths in mm are asked for.

    Returns
    -------
    float32 array (3, y, x)

    Raises
    ------
    FeatureError
        When the frame is no point cloud, or lengths are asked for and it has no unit.
    """
    modality, unit = frame.attrs["modality"], frame.attrs["units"]
    if modality != "points":
        why = (
            ", whose pixels have no place across without the camera" if modality == "depth" else ""
        )
        raise FeatureError(
            f"{extractor!r} was given the modality {modality!r}{why}, but organised points were "
            f"promised; ask for it by sensor (points={extractor}) and take 'builtin' for the rest"
        )
    if lengths and unit != "mm":
        raise FeatureError(
            f"{extractor!r} was given lengths in mm, but the points are in {unit!r}; state their "
            "unit in the card, or leave the lengths out: then the pixel pitch is the measure"
        )
    return check_cloud(frame.values)


def pitch_of(frames: Sequence[NDArray[np.float32]]) -> float:
    """Give the usual pixel pitch of some clouds.

    Parameters
    ----------
    frames : sequence of float32 array (3, y, x)

    Returns
    -------
    float, unit of the clouds
        The median of the clouds' medians; NaN when none can tell.
    """
    known = [pitch for pitch in map(median_pitch, frames) if np.isfinite(pitch)]
    return float(np.median(known)) if known else float("nan")


def check_radius(extractor: str, radius: float, pitch: float) -> None:
    """Refuse a radius that holds no neighbour.

    Parameters
    ----------
    extractor : str
        Who asks, for the message.
    radius, pitch : float
        In one unit.

    Raises
    ------
    FeatureError
        When the radius is below 1.5 pitches.
    """
    if radius < _LEAST_PITCHES * pitch:
        raise FeatureError(
            f"{extractor!r} has a radius of {radius:g} mm, but the pixels are {pitch:.3g} mm "
            f"apart; choose {_LEAST_PITCHES * pitch:.2g} mm at least, or leave it out"
        )


def thinning(radius: float, pitch: float) -> int:
    """Choose how many rows and columns to step, for 4.5 to 9 steps a radius.

    Parameters
    ----------
    radius, pitch : float
        In one unit.

    Returns
    -------
    int
        1 when the radius spans fewer than nine pixels.

    Examples
    --------
    >>> [thinning(radius, 0.5) for radius in (2, 4, 6, 30)]
    [1, 1, 2, 10]
    """
    return max(1, round(radius / (pitch * USUAL_PITCHES)))


def thinned(cloud: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    """Take every `step`-th row and column, from the middle of the first step on."""
    start = min(step // 2, *(side - 1 for side in cloud.shape[1:]))
    return cloud[:, start::step, start::step]


def pooled(values: NDArray[np.floating], rows: int, columns: int) -> torch.Tensor:
    """Average over patches and their eight neighbours what is known there.

    Parameters
    ----------
    values : float array (feature, y, x)
        NaN where unknown.
    rows, columns : int
        Number of patches.

    Returns
    -------
    Tensor (feature, row, column)
        Of the same type; NaN where nothing was known.
    """
    planes = torch.from_numpy(np.ascontiguousarray(values))
    known = torch.isfinite(planes)
    both = torch.cat([torch.where(known, planes, 0.0), known.to(planes.dtype)])
    total, share = pool_neighbours(adaptive_avg_pool2d(both, (rows, columns))).chunk(2)
    return torch.where(share > 0, total / share, torch.nan)


def labelled(
    grid: torch.Tensor, cloud: NDArray[np.float32], groups: Sequence[str] = ()
) -> xr.DataArray:
    """Label patches, NaN in every feature where one is unknown or the patch is mostly blind.

    Parameters
    ----------
    grid : Tensor (feature, row, column), float32
    cloud : float32 array (3, y, x)
        Tells where the scanner measured, in scene pixels.
    groups : sequence of str, optional
        What each feature describes.

    Returns
    -------
    DataArray (feature, y, x), float32
    """
    whole = torch.isfinite(grid).all(0)
    measured = torch.from_numpy(np.isfinite(cloud[0]))
    return as_patches(torch.where(whole, grid, torch.nan), measured, groups)


def patch_counts(cloud: NDArray[np.float32], stride: int) -> tuple[int, int]:
    """Count the rows and columns of patches, the last ones possibly smaller."""
    rows, columns = (-(-side // stride) for side in cloud.shape[1:])
    return rows, columns
