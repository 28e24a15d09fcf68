"""The grid of an organised cloud: pixel pitch, the window that holds a radius, bands of rows.

* Two points of a camera's cloud are at least as far apart as the rays through their pixels, so
  the pitch across the rays bounds how many pixels a radius can span. The pitch is measured as the
  height of the grid's local parallelogram, which a step in depth or a sheared grid does not
  shorten below the distance between neighbouring rays.
* Clouds are padded with NaN, so that no loop asks whether a neighbour exists.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mmdefect.errors import SceneError
from mmdefect.geometry._passes import clear, sides
from mmdefect.jit import in_bands, threads

Cloud = NDArray[np.float32]
"""Coordinates or directions (axis, y, x), float32; NaN in all three where missing."""
Map = NDArray[np.float32]

MOST_REACH = 32
"""Largest half-width of a window in pixels; points beyond it are not looked at."""
_SPANS = (4, 8, 2, 1)
_LOOKS = 100
_BAND = 32
_LOW = 0.01
_SLACK = 1.1
_STRAY = 0.01


def check_cloud(points: NDArray[np.floating]) -> Cloud:
    """Bring a cloud to the form that the loops take.

    Parameters
    ----------
    points : float array (3, y, x)
        NaN where missing.

    Returns
    -------
    Cloud (3, y, x), float32
        NaN in all three coordinates where one of them is not finite.

    Raises
    ------
    SceneError
        When the array has another shape.
    """
    if points.ndim != 3 or len(points) != 3:
        raise SceneError(
            f"an array of shape {points.shape} was given, but an organised cloud (3, y, x) was "
            "promised; bring x, y and z first"
        )
    cloud = np.array(points, dtype=np.float32, order="C")
    clear(cloud)
    return cloud


def check_directed(
    points: NDArray[np.floating], normals: NDArray[np.floating]
) -> tuple[Cloud, Cloud]:
    """Bring a cloud and its normals to the form that the loops take.

    Parameters
    ----------
    points, normals : float array (3, y, x)
        NaN where missing; a point without a normal counts as missing.

    Returns
    -------
    Cloud (3, y, x), float32
        The points, NaN where either is missing.
    Cloud (3, y, x), float32
        The normals.

    Raises
    ------
    SceneError
        When points or normals are no organised cloud, or differ in shape.
    """
    cloud, facing = check_cloud(points), check_cloud(normals)
    if cloud.shape != facing.shape:
        raise SceneError(
            f"normals of shape {facing.shape} were given for points of shape {cloud.shape}, but "
            "one normal a point was promised; compute them from these points"
        )
    cloud[:, np.isnan(facing[0])] = np.nan
    return cloud, facing


def pitches(points: Cloud) -> tuple[Map, Map, int]:
    """Measure the distance between neighbouring columns and between neighbouring rows.

    Parameters
    ----------
    points : Cloud (3, y, x)

    Returns
    -------
    Map (y / step, x / step), unit of the cloud
        Of columns, measured across the rows' direction; NaN where it cannot be told.
    Map (y / step, x / step), unit of the cloud
        Of rows, likewise.
    int
        The step: large clouds are looked at on every `step`-th row and column.
    """
    height, width = points.shape[1:]
    step = max(1, min(height, width) // _LOOKS)
    columns = rows = np.full((1, 1), np.nan, dtype=np.float32)
    for span in (span for span in _SPANS if span < min(height, width)):
        corner = points[:, :-span:step, :-span:step].astype(np.float64)
        right = points[:, :-span:step, span::step] - corner
        down = points[:, span::step, :-span:step] - corner
        across, along, both = (
            (one * other).sum(0) for one, other in ((right, right), (down, down), (right, down))
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            area = np.sqrt(np.maximum(across * along - both**2, 0))
            columns, rows = (area / np.sqrt(side) / span for side in (along, across))
        columns[~(columns > 0)] = np.nan
        rows[~(rows > 0)] = np.nan
        if np.isfinite(columns).any():
            break
    return columns, rows, step


def median_pitch(points: Cloud) -> float:
    """Give the usual distance between neighbouring pixels on the surface.

    Parameters
    ----------
    points : Cloud (3, y, x)

    Returns
    -------
    float, unit of the cloud
        NaN for a cloud in which no pixel has neighbours.
    """
    known = np.concatenate([pitch[np.isfinite(pitch)] for pitch in pitches(points)[:2]])
    return float(np.median(known)) if known.size else float("nan")


def sensor_at(points: Cloud) -> NDArray[np.float64]:
    """Tell from where a cloud was seen.

    Parameters
    ----------
    points : Cloud (3, y, x)

    Returns
    -------
    float array (4,)
        A place in homogeneous coordinates. The origin, (0, 0, 0, 1), when the cloud is in a
        camera's frame: but for one point in a hundred it lies on one side of the plane z = 0 and
        within a view of ±56° (a tangent of 1.5). Otherwise the cloud is in a part's frame, whose
        z axis points at the sensor: the far end of it, (0, 0, 1, 0).
    """
    seen, before, wide = sides(points)
    if seen and min(before, seen - before) <= _STRAY * seen and wide <= _STRAY * seen:
        return np.array([0.0, 0.0, 0.0, 1.0])
    return np.array([0.0, 0.0, 1.0, 0.0])


def reaches(points: Cloud, radius: float) -> NDArray[np.int64]:
    """Size the window that holds every point within a radius, for each row.

    Parameters
    ----------
    points : Cloud (3, y, x)
    radius : float, unit of the cloud

    Returns
    -------
    int array (y, 2)
        Rows and columns to look at on each side, at least 1 and at most ``MOST_REACH``. They
        follow from the 1 % quantile of the pitch among the surrounding rows, less a tenth.

    Raises
    ------
    SceneError
        When the radius is no positive length.
    """
    if not 0 < radius < np.inf:
        raise SceneError(
            f"a radius of {radius} was given, but a length above 0 was promised; choose one"
        )
    height, width = points.shape[1:]
    across, down, step = pitches(points)
    found = np.full((height, 2), MOST_REACH, dtype=np.int64)
    for axis, (pitch, most) in enumerate(((down, height), (across, width))):
        overall = _lowest(pitch)
        for start in range(0, height, _BAND):
            around = slice(max(0, start - _BAND) // step, (start + 2 * _BAND) // step)
            low = _lowest(pitch[around])
            low = overall if np.isnan(low) else low
            if low > 0:
                wanted = np.ceil(min(_SLACK * radius / low, MOST_REACH))
                found[start : start + _BAND, axis] = np.clip(wanted, 1, max(1, most - 1))
    return found


def spans(points: Cloud) -> NDArray[np.int64]:
    """Tell between which columns each row has points.

    Parameters
    ----------
    points : Cloud (3, y, x)

    Returns
    -------
    int array (y, 2)
        The first column with a point and the one after the last; 0, 0 in a row without.
    """
    seen = np.isfinite(points[0])
    width = seen.shape[1]
    found = np.stack([seen.argmax(1), width - seen[:, ::-1].argmax(1)], axis=1)
    found[~seen.any(1)] = 0
    return found


def _lowest(pitch: Map) -> float:
    known = pitch[np.isfinite(pitch)]
    place = int(_LOW * known.size)
    return float(np.partition(known, place)[place]) if known.size else float("nan")


def padded(planes: Cloud, rows: int, columns: int) -> Cloud:
    """Surround planes with NaN.

    Parameters
    ----------
    planes : float32 array (plane, y, x)
    rows, columns : int
        Pixels to add on each side.

    Returns
    -------
    float32 array (plane, y + 2 rows, x + 2 columns)
    """
    count, height, width = planes.shape
    wide = np.full((count, height + 2 * rows, width + 2 * columns), np.nan, dtype=np.float32)
    wide[:, rows : rows + height, columns : columns + width] = planes
    return wide


def over_bands(loop: Callable[[int, int], None], height: int) -> None:
    """Run a loop over bands of rows, one band a thread.

    Parameters
    ----------
    loop : callable (first row, row after the last)
        Writes to its own rows only.
    height : int
    """
    in_bands(lambda _, start, stop: loop(start, stop), height, bands=max(1, min(threads(), height)))
