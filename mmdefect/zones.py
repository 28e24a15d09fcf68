"""Inspection zones: what does not count, and what is judged by rules of its own.

* An *ignored* zone is cut out of the scene: its pixels become blind for every sensor on its grid,
  before any feature is computed. What happens there can change neither a score nor a region, in
  learning and calibration as little as in inspection.
* A zone with a *share* s of the false-alarm rate α is judged apart: its pixels do not count in
  the part's score (``scene["apart"]``), and it has a p-value of its own, from the level of its
  map (``mmdefect.regions.level_of``) held against that of good parts. It alarms at p ≤ sα, the
  rest of the part at p ≤ (1 − Σs)α, so that all together alarm on good parts at most at the rate
  α (Bonferroni).
* ``least_area_mm2`` says that smaller spots are no defects of that zone.
* Where zones overlap, an ignored one wins, else the first of the card.

Pixels are those of the scene, on the grid of the reference camera or of the sensor that ``grid``
names; a sensor on another grid is not touched.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mmdefect.errors import CardError
from mmdefect.frames import read_mask
from mmdefect.scene import sensors_of
from mmdefect.zone_table import PART, ZoneEntry

Mask = NDArray[np.bool_]


class Place(NamedTuple):
    """A part of a map that is judged as one.

    Attributes
    ----------
    name : str
        A zone's, or ``part`` for what lies in none.
    grid : str
        Whose pixels they are.
    pixels : bool array (y, x)
    least_area_mm2 : float
    share : float
        Of the false-alarm rate.
    """

    name: str
    grid: str
    pixels: Mask
    least_area_mm2: float
    share: float


class Zones:
    """The zones of a card, laid over scenes.

    Parameters
    ----------
    entries : sequence of ZoneEntry
    """

    def __init__(self, entries: Sequence[ZoneEntry] = ()) -> None:
        self.entries = tuple(entries)
        self._drawn: dict[tuple[str, int, int], Mask] = {}

    def __repr__(self) -> str:
        """Tell which zones there are."""
        told = [
            f"{zone.name} ignored" if zone.ignore else f"{zone.name} {zone.false_alarm:g}"
            for zone in self.entries
        ]
        return f"Zones({', '.join(told)})"

    @property
    def apart(self) -> tuple[ZoneEntry, ...]:
        """The zones that are judged apart."""
        return tuple(zone for zone in self.entries if not zone.ignore)

    @property
    def rest(self) -> float:
        """The share of the false alarms that is left for the rest of the part."""
        return 1.0 - sum(zone.false_alarm for zone in self.apart)

    @property
    def smallest_share(self) -> float:
        """The smallest share of all places: it takes the most calibration parts."""
        return min([self.rest, *(zone.false_alarm for zone in self.apart)])

    def laid_over(self, scene: xr.Dataset) -> xr.Dataset:
        """Cut the ignored zones out of a scene, and mark what is judged apart.

        Parameters
        ----------
        scene : Dataset

        Returns
        -------
        Dataset
            With NaN and ``valid`` False in ignored zones, and ``apart`` (sensor, y, x), bool, where
            there is a zone of its own. The scene itself where there is no zone.

        Raises
        ------
        CardError
            When the mask of a zone cannot be read or has not the scene's size.
        """
        if not self.entries:
            return scene
        laid = scene.copy()
        sensors = sensors_of(scene)
        ignored = np.stack([self._ignored(scene, name) for name in sensors])
        laid["valid"] = scene["valid"] & ~xr.DataArray(ignored, dims=("sensor", "y", "x"))
        for name in sensors:
            laid[name] = scene[name].where(laid["valid"].sel(sensor=name, drop=True))
            laid[name].attrs = scene[name].attrs
            laid[name] = laid[name].drop_vars("grid", errors="ignore")
        if self.apart:
            places = self.places(scene)[1:]
            masks = [
                np.any([p.pixels for p in places if p.grid == _grid_of(scene, name)], axis=0)
                | np.zeros(ignored.shape[1:], dtype=bool)
                for name in sensors
            ]
            laid["apart"] = (("sensor", "y", "x"), np.stack(masks))
        return laid

    def places(self, scene: xr.Dataset) -> list[Place]:
        """Divide a scene's map: first what lies in no zone, then every zone judged apart.

        Parameters
        ----------
        scene : Dataset

        Returns
        -------
        list of Place
        """
        reference = str(scene.attrs["reference"])
        size = (scene.sizes["y"], scene.sizes["x"])
        taken: dict[str, Mask] = {}
        for zone in self.entries:
            grid = zone.grid or reference
            blank = taken.setdefault(grid, np.zeros(size, dtype=bool))
            if zone.ignore:
                taken[grid] = blank | self._pixels(zone, size)
        places = []
        for zone in self.apart:
            grid = zone.grid or reference
            pixels = self._pixels(zone, size) & ~taken[grid]
            taken[grid] = taken[grid] | pixels
            places.append(Place(zone.name, grid, pixels, zone.least_area_mm2, zone.false_alarm))
        rest = ~taken.get(reference, np.zeros(size, dtype=bool))
        return [Place(PART, reference, rest, 0.0, self.rest), *places]

    def _ignored(self, scene: xr.Dataset, sensor: str) -> Mask:
        """Give the pixels of a sensor that are ignored."""
        size = (scene.sizes["y"], scene.sizes["x"])
        ignored = np.zeros(size, dtype=bool)
        for zone in self.entries:
            if zone.ignore and (zone.grid or scene.attrs["reference"]) == _grid_of(scene, sensor):
                ignored |= self._pixels(zone, size)
        return ignored

    def _pixels(self, zone: ZoneEntry, size: tuple[int, int]) -> Mask:
        """Draw a zone, once."""
        key = (zone.name, *size)
        if key not in self._drawn:
            self._drawn[key] = _from_file(zone, size) if zone.mask else _inside(zone.polygon, size)
        return self._drawn[key]


def _grid_of(scene: xr.Dataset, sensor: str) -> str:
    return str(scene["grid"].sel(sensor=sensor).item())


def _from_file(zone: ZoneEntry, size: tuple[int, int]) -> Mask:
    """Read a zone's mask."""
    mask = read_mask(Path(zone.mask))
    if mask.shape != size:
        raise CardError(
            f"the mask of zone {zone.name!r} has {mask.shape[0]}x{mask.shape[1]} pixels, but the "
            f"scene's {size[0]}x{size[1]} were promised; draw it on a frame of the reference"
        )
    return mask


def _inside(polygon: Sequence[tuple[float, float]], size: tuple[int, int]) -> Mask:
    """Tell which pixels' centres lie in a polygon, by counting crossings (even-odd)."""
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float64)
    inside = np.zeros(size, dtype=bool)
    for (x0, y0), (x1, y1) in zip(polygon, [*polygon[1:], polygon[0]], strict=True):
        if y0 == y1:
            continue
        crosses = (y0 > y) != (y1 > y)
        inside ^= crosses & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return inside
