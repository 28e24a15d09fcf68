"""How high good parts' maps reach, place by place: what regions and zones are held against.

A map of many pixels is high somewhere on every part, so a region's evidence means nothing until
it is held against the *highest* of whole maps: the p-value is then family-wise [1]_. A capture
that lacks a sensor is held against the good parts' maps of the sensors it does have.

References
----------
.. [1] Westfall, Young: Resampling-based multiple testing, 1993.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, islice
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mmdefect.contracts import Scenes
from mmdefect.errors import SceneError
from mmdefect.regions import level_of, surface_area
from mmdefect.verdict import conformal_threshold
from mmdefect.zones import Place, Zones

Combine = Callable[[xr.DataArray], xr.DataArray]
Set = tuple[str, ...]

_MOST_SENSORS = 6
_USUAL = 0.5
_FIRST_LOOK = 16


def seen_on(prediction: xr.Dataset, grid: str) -> Set:
    """List the sensors that have evidence somewhere on a grid.

    Parameters
    ----------
    prediction : Dataset
        With ``evidence_map`` (sensor, y, x).
    grid : str

    Returns
    -------
    tuple of str
        In the rig's order.
    """
    anywhere = prediction["evidence_map"].notnull().any(["y", "x"]).values
    grids = prediction["grid"].values
    names = prediction["sensor"].values
    return tuple(
        str(name)
        for name, own, seen in zip(names, grids, anywhere, strict=True)
        if seen and str(own) == grid
    )


def map_of(prediction: xr.Dataset, sensors: Sequence[str], combine: Combine) -> np.ndarray:
    """Combine the evidence of some sensors, pixel by pixel.

    Parameters
    ----------
    prediction : Dataset
        With ``evidence_map`` (sensor, y, x).
    sensors : sequence of str
        One at least, of one grid.
    combine : callable

    Returns
    -------
    float array (y, x)
    """
    fused: np.ndarray = combine(prediction["evidence_map"].sel(sensor=list(sensors))).values
    return fused


@dataclass
class Peaks:
    """Levels of the maps of good parts that fitted nothing.

    Parameters
    ----------
    places : tuple of str
        ``part``, then the zones that are judged apart.
    levels : dict of tuple of str to float array (part, place)
        By the sensors whose maps are combined; NaN where a part lacked one of them.
    area : float32 array (y, x), optional
        The usual surface of each pixel, mm², by which least areas are measured.
    """

    places: tuple[str, ...] = ()
    levels: dict[Set, NDArray[np.float64]] = field(default_factory=dict)
    area: NDArray[np.float32] | None = None

    def measure(
        self, prediction: xr.Dataset, places: Iterable[Place], combine: Combine
    ) -> dict[Set, list[float]]:
        """Measure one good part: the level of every place, for every set of sensors.

        Parameters
        ----------
        prediction : Dataset
        places : iterable of Place
        combine : callable

        Returns
        -------
        dict of tuple of str to list of float
            One level per place; NaN for a place on another grid.
        """
        places = list(places)
        found: dict[Set, list[float]] = {}
        for grid in dict.fromkeys(place.grid for place in places):
            for sensors in _subsets(seen_on(prediction, grid)):
                fused = map_of(prediction, sensors, combine)
                found[sensors] = [
                    self.level(fused, place) if place.grid == grid else np.nan for place in places
                ]
        return found

    def level(self, fused: np.ndarray, place: Place) -> float:
        """Give the level of a place of a map; NaN where there is no evidence."""
        return level_of(fused, place.pixels, place.least_area_mm2, self.area)

    def add(self, measured: Sequence[Mapping[Set, Sequence[float]]]) -> None:
        """Add good parts.

        Parameters
        ----------
        measured : sequence of mapping
            As `measure` gives them, one per part.
        """
        blank = [np.nan] * len(self.places)
        before = len(next(iter(self.levels.values()), ()))
        for sensors in {*self.levels, *(key for part in measured for key in part)}:
            old = self.levels.get(sensors, np.full((before, len(self.places)), np.nan))
            new = np.array([part.get(sensors, blank) for part in measured], dtype=np.float64)
            self.levels[sensors] = np.concatenate([old, new.reshape(-1, len(self.places))])

    def of(self, sensors: Set, place: str) -> NDArray[np.float64]:
        """Give the levels of the good parts that had all of these sensors.

        Returns
        -------
        float array (part,)
        """
        if sensors not in self.levels:
            return np.empty(0)
        column = self.levels[sensors][:, self.places.index(place)]
        known: NDArray[np.float64] = column[~np.isnan(column)]
        return known

    def usable(self, seen: Set, place: str, needed: int) -> Set:
        """Choose the largest set of sensors that enough good parts had; all, where none is."""
        for sensors in _subsets(seen):
            if len(self.of(sensors, place)) >= needed:
                return sensors
        return seen

    def usual(self, sensors: Set, place: str) -> float | None:
        """Give the level that half of the good parts never reach: a region begins above it."""
        level = conformal_threshold(self.of(sensors, place), _USUAL)
        return None if level is None or not np.isfinite(level) else level

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Give what was learnt: arrays, and what JSON can hold."""
        sets = sorted(self.levels)
        held: dict[str, np.ndarray] = {str(n): self.levels[key] for n, key in enumerate(sets)}
        if self.area is not None:
            held["area"] = self.area
        return held, {"places": list(self.places), "sets": [list(key) for key in sets]}

    @classmethod
    def from_state(cls, tensors: Mapping[str, np.ndarray], told: Mapping[str, Any]) -> "Peaks":
        """Make the peaks that gave this state."""
        levels = {tuple(key): np.array(tensors[str(n)]) for n, key in enumerate(told["sets"])}
        return cls(tuple(told["places"]), levels, tensors.get("area"))


def usual_area(scenes: Scenes, zones: Zones) -> NDArray[np.float32] | None:
    """Measure the surface of each pixel on the first good parts, where a zone needs it.

    Least areas are measured by what is usual, so that a scanner that fails on one part does not
    change the test.

    Parameters
    ----------
    scenes : Scenes
    zones : Zones

    Returns
    -------
    float32 array (y, x) or None
        mm²; None where no zone has a least area.

    Raises
    ------
    SceneError
        When no geometry is known on the grid of such a zone.
    """
    wanting = [zone for zone in zones.apart if zone.least_area_mm2]
    if not wanting:
        return None
    reference = str(next(iter(scenes)).attrs["reference"])
    if any(zone.grid not in ("", reference) for zone in wanting):
        raise SceneError("least_area_mm2 is for zones on the reference's grid; leave it out")
    areas = [surface_area(scene) for scene in islice(scenes, _FIRST_LOOK)]
    known = [area for area in areas if area is not None and np.isfinite(area).any()]
    if not known:
        raise SceneError(
            f"zone {wanting[0].name!r} has least_area_mm2, but no sensor on the reference's grid "
            "measures points in mm; state the unit of the points in the card, or leave "
            "least_area_mm2 out"
        )
    stacked = np.stack(known)
    somewhere = np.isfinite(stacked).any(0)
    usual = np.full(somewhere.shape, np.nanmedian(stacked), dtype=np.float32)
    usual[somewhere] = np.nanmedian(stacked[:, somewhere], axis=0)
    return usual


def _subsets(sensors: Set) -> list[Set]:
    """List the sets of sensors, the largest first; of very many sensors, all and each alone."""
    sizes = (
        range(len(sensors), 0, -1)
        if len(sensors) <= _MOST_SENSORS
        else sorted({len(sensors), len(sensors) - 1, 1}, reverse=True)
    )
    return [chosen for size in sizes for chosen in combinations(sensors, size)]
