"""Regions: where in a map a defect is, how large, and how surprising.

* A region is a connected component (eight neighbours) of a map above a level.
* Its area in mm² is the sum of the surface elements that its pixels cover on the organised cloud,
  so that a tilted or curved face counts with its true size.
* What is smaller than a least area is no defect: the *level* of a place is then the highest level
  at which an area of that size hangs together. With no least area it is the map's maximum.
"""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.ndimage import label, maximum

from mmdefect.scene import present_in

_EIGHT = np.ones((3, 3), dtype=np.int8)
_JUMP = 5.0
MOST = 20
"""Regions that are told of one place; the highest ones."""

Plane = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Region:
    """A connected place of high evidence.

    Parameters
    ----------
    place : str
        The zone it lies in, or ``part``.
    box : (int, int, int, int)
        Left, top, right, bottom in pixels of the scene; right and bottom are the first outside.
    area_px : int
    area_mm2 : float or None
        None where no geometry is known.
    peak : (int, int)
        x, y of the highest evidence.
    evidence : float
        The evidence there.
    p_value : float
        Family-wise: the share of good parts, the part itself included, that reach this level
        anywhere in the place.
    sensors : tuple of str
        The sensors whose own evidence supports it, the strongest first.
    """

    place: str
    box: tuple[int, int, int, int]
    area_px: int
    area_mm2: float | None
    peak: tuple[int, int]
    evidence: float
    p_value: float
    sensors: tuple[str, ...]


def surface_area(scene: xr.Dataset, grid: str | None = None) -> Plane | None:
    """Measure how much surface each pixel of a grid covers.

    Parameters
    ----------
    scene : Dataset
    grid : str, optional
        The grid's name; the reference's by default.

    Returns
    -------
    float32 array (y, x) or None
        mm²; NaN where no point was measured. None when no organised cloud in mm lies on the grid.

    Notes
    -----
    The element is the length of the cross product of the cloud's two derivatives along rows and
    columns. They are central differences; over a hole or a jump (a step of five times the usual)
    they are one-sided.
    """
    wanted = grid or str(scene.attrs["reference"])
    for name in present_in(scene):
        attrs = scene[name].attrs
        measures = (attrs["modality"], attrs["units"]) == ("points", "mm")
        if measures and str(scene["grid"].sel(sensor=name).item()) == wanted:
            down, across = (_derivative(scene[name].values, axis) for axis in (1, 2))
            area: Plane = np.linalg.norm(np.cross(down, across, axis=0), axis=0).astype(np.float32)
            return area
    return None


def _derivative(points: Plane, axis: int) -> NDArray[np.float64]:
    """Differentiate a cloud (axis, y, x) along rows or columns, in mm a pixel."""
    steps = np.diff(points.astype(np.float64), axis=axis)
    lengths = np.linalg.norm(steps, axis=0)
    moving = lengths[lengths > 0]
    jump = _JUMP * float(np.median(moving)) if moving.size else np.inf
    steps = np.where(lengths <= jump, steps, np.nan)
    pad = [(0, 0)] * 3
    pad[axis] = (1, 1)
    padded = np.pad(steps, pad, constant_values=np.nan)
    before, after = np.delete(padded, -1, axis), np.delete(padded, 0, axis)
    central = 0.5 * (before + after)
    return np.where(np.isnan(central), np.where(np.isnan(before), after, before), central)


def sized(pixels: Mask, area: Plane | None) -> float | None:
    """Measure an area, taking pixels without a measurement at the mean of the others.

    Parameters
    ----------
    pixels : bool array (y, x)
    area : float array (y, x) or None
        mm² a pixel.

    Returns
    -------
    float or None
        mm²; None where nothing is known.
    """
    if area is None:
        return None
    known = area[pixels]
    known = known[np.isfinite(known)]
    return float(known.mean() * pixels.sum()) if known.size else None


def level_of(evidence: Plane, inside: Mask, least: float = 0.0, area: Plane | None = None) -> float:
    """Find the highest level at which an area of a least size hangs together.

    Parameters
    ----------
    evidence : float array (y, x)
        NaN where there is none.
    inside : bool array (y, x)
        The place that is looked at.
    least : float
        The least size in mm²; 0 for a single pixel.
    area : float array (y, x), optional
        mm² a pixel, finite; needed when there is a least size.

    Returns
    -------
    float
        NaN when there is no evidence in the place, −inf when all of it together is too small.
    """
    known = evidence[inside & np.isfinite(evidence)]
    if known.size == 0:
        return float("nan")
    if least <= 0 or area is None:
        return float(known.max())
    values = np.unique(known)
    shown = np.where(inside, evidence, np.nan)
    low, high = -1, values.size - 1  # at `low` it holds, counting −1 as the level −inf
    while low < high:
        middle = (low + high + 1) // 2
        if _largest(shown >= values[middle], area) >= least:
            low = middle
        else:
            high = middle - 1
    return float(values[low]) if low >= 0 else -np.inf


def _largest(above: Mask, area: Plane) -> float:
    """Give the area of the largest component, mm²."""
    labels, count = label(above, _EIGHT)
    if count == 0:
        return 0.0
    return float(np.bincount(labels.ravel(), area.ravel())[1:].max())


def components(
    evidence: Plane, inside: Mask, level: float, least: float = 0.0, area: Plane | None = None
) -> list[Mask]:
    """Give the connected places above a level.

    Parameters
    ----------
    evidence : float array (y, x)
        NaN where there is none.
    inside : bool array (y, x)
    level : float
    least : float
        Leave out what is smaller, mm².
    area : float array (y, x), optional
        mm² a pixel, finite.

    Returns
    -------
    list of bool array (y, x)
        The highest first, twenty at most.
    """
    labels, count = label(inside & (evidence > level), _EIGHT)
    numbers = np.arange(1, count + 1)
    if least > 0 and area is not None:
        numbers = numbers[np.bincount(labels.ravel(), area.ravel(), count + 1)[1:] >= least]
    peaks = maximum(evidence, labels, numbers) if numbers.size else np.empty(0)
    highest = np.argsort(-np.asarray(peaks), kind="stable")[:MOST]
    return [labels == number for number in numbers[highest]]
