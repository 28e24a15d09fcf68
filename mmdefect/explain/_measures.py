"""What a region measures: height in mm, temperature in K, attenuation, against what is around it.

* A number is given only where its unit is known: nothing is measured in ``relative``.
* What is measured is the region's core: where the evidence is at least half of its peak. A region
  reaches as far as a good part's evidence is exceeded, and with a glaring defect that is far
  beyond it, because features look at windows.
* Temperature, attenuation and reflectance are told against good parts at the same place as well,
  because what is under a region may differ from what is around it on good parts too.
* The surroundings are a ring around the core that keeps clear of it, because its edge is
  blurred, and of the other regions' cores.
* What is told is the mean of the most extreme tenth of the core, up or down, after every pixel was
  averaged with its eight neighbours: a core is wider than its defect, and one stray point is no
  depth.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, uniform_filter

from mmdefect.contracts import Fusion
from mmdefect.explain._told import Measure
from mmdefect.geometry.around import height_above_ring
from mmdefect.regions import Plane, sized
from mmdefect.usual import quantity_of

Mask = NDArray[np.bool_]
Window = tuple[slice, slice]

AROUND, SURFACE, DRAWING = "the surroundings", "the surface around", "the drawing"
GOOD = "good parts there"
_CLEAR = 3.0
_LEAST_RING, _MOST_RING = 5.0, 24.0
_EXTREME = 0.1
_LEAST_PIXELS = 12


def cores_of(fused: NDArray[np.floating], regions: Sequence[Mask]) -> list[Mask]:
    """Give the cores of regions: where the evidence is at least half of its peak there.

    Parameters
    ----------
    fused : float array (y, x)
        Evidence.
    regions : sequence of bool array (y, x)

    Returns
    -------
    list of bool array (y, x)
    """
    halves = [0.5 * float(np.nanmax(fused[pixels])) for pixels in regions]
    return [pixels & (fused >= half) for pixels, half in zip(regions, halves, strict=True)]


def measures_of(
    scene: xr.Dataset,
    fusion: Fusion,
    core: Mask,
    cores: Mask,
    grid: str,
    area: Plane | None,
    apart: Mapping[str, NDArray[np.floating]],
) -> tuple[Measure, ...]:
    """Measure a region's core with every sensor on its grid.

    Parameters
    ----------
    scene : Dataset
    fusion : Fusion
        Its features may know the part's drawing.
    core : bool array (y, x)
    cores : bool array (y, x)
        All regions' cores; they are no surroundings.
    grid : str
        The grid the region lies on.
    area : float array (y, x) or None
        mm² a pixel, where geometry is known.
    apart : mapping of str to float array (y, x)
        By sensor, how far the part is from good ones, place by place.

    Returns
    -------
    tuple of Measure
    """
    window, ring = _ring(core, cores)
    inside = core[window]
    size = sized(core, area)
    found = [] if size is None else [Measure("", "area", size, "mm²", "")]
    for name in [str(sensor) for sensor in scene["sensor"].values]:
        if str(scene["grid"].sel(sensor=name).item()) == grid:
            frame = scene[name]
            found += _measured(name, frame[(..., *window)], inside, ring)
            found += _against_good(name, frame, apart.get(name), core)
            found += _against_drawing(fusion, name, frame, core)
    return tuple(found)


def _ring(pixels: Mask, others: Mask) -> tuple[Window, Mask]:
    """Cut a window around a region, and find its surroundings there."""
    rows, columns = np.nonzero(pixels)
    width = float(np.clip(np.sqrt(rows.size), _LEAST_RING, _MOST_RING))
    reach = int(np.ceil(_CLEAR + width)) + 1
    window = (
        slice(max(int(rows.min()) - reach, 0), int(rows.max()) + reach + 1),
        slice(max(int(columns.min()) - reach, 0), int(columns.max()) + reach + 1),
    )
    away = distance_transform_edt(~pixels[window])
    return window, (away > _CLEAR) & (away <= _CLEAR + width) & ~others[window]


def _measured(name: str, frame: xr.DataArray, inside: Mask, ring: Mask) -> list[Measure]:
    """Measure a core in one sensor's frame, where that has a unit."""
    modality, units = frame.attrs["modality"], frame.attrs["units"]
    everywhere = np.ones_like(inside)
    if modality == "points" and units == "mm":
        apart = height_above_ring(frame.values, everywhere, ring)
        return _told(name, ("height", "depth"), apart, inside, ("mm", SURFACE))
    if modality == "depth" and units == "mm":
        y, x = np.indices(inside.shape, dtype=np.float64)
        cloud = np.stack([x, y, -frame.values])  # along the optical axis, towards the sensor
        cloud[:, np.isnan(frame.values)] = np.nan
        apart = height_above_ring(cloud, everywhere, ring)
        return _told(name, ("height", "depth"), apart, inside, ("mm", SURFACE))
    plane = quantity_of(frame)
    if plane is None:
        return []
    quantity, unit, values = plane
    around = values[ring & np.isfinite(values)]
    if around.size < _LEAST_PIXELS:
        return []
    return _told(name, (quantity,), values - np.median(around), inside, (unit, AROUND))


def _told(
    name: str,
    quantities: tuple[str, ...],
    apart: NDArray[np.floating],
    inside: Mask,
    against: tuple[str, str],
) -> list[Measure]:
    """Tell the most extreme tenth of what differs; the second quantity is the first, downwards."""
    seen = np.isfinite(apart)
    weight = uniform_filter(seen.astype(np.float64), 3, mode="constant")
    smooth = uniform_filter(np.where(seen, apart, 0.0).astype(np.float64), 3, mode="constant")
    known = np.sort((smooth / np.maximum(weight, 1e-9))[inside & seen])
    if known.size == 0:
        return []
    count = max(1, round(_EXTREME * known.size))
    low, high = float(known[:count].mean()), float(known[-count:].mean())
    value, quantity = (high, quantities[0]) if high >= -low else (low, quantities[-1])
    sign = -1 if quantity != quantities[0] else 1
    return [Measure(name, quantity, sign * value, *against)]


def _against_good(
    name: str, frame: xr.DataArray, apart: NDArray[np.floating] | None, core: Mask
) -> list[Measure]:
    """Measure against good parts at the same place, where they are known."""
    plane = quantity_of(frame)
    if apart is None or plane is None:
        return []
    return _told(name, (plane.name,), apart, core, (plane.unit, GOOD))


def _against_drawing(
    fusion: Fusion, name: str, frame: xr.DataArray, core: Mask
) -> Sequence[Measure]:
    """Measure against the part's drawing, where the sensor's features know it."""
    detector: Any = getattr(fusion, "detectors_", {}).get(name)
    deviation = getattr(getattr(detector, "extractor", None), "deviation", None)
    if deviation is None:
        return []
    apart = deviation(np.where(core, frame.values, np.nan))
    return _told(name, ("height", "depth"), apart, core, ("mm", DRAWING))
