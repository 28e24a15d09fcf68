"""A part after the flash: what each place took up, how deep it sinks, how far it spreads.

* The lamp stands at one side, so what arrives falls off across the part; a hood throws the rest
  around, into shadows too. A surface takes up what it emits (Kirchhoff's law, with the emissivity
  of the infrared standing in for the absorptivity in the flash's light): bare metal next to
  nothing.
* Each place warms as a wall of its thickness does. Along a body heat spreads as a Gaussian that
  grows with time; edges lose nothing; bodies that touch do not share their heat.
* Above a delamination comes what `laminate` solves, in proportion to what was taken up there.
"""

from typing import Any

import numpy as np
from scipy import ndimage

from mmdefect.simulate.body import Delamination
from mmdefect.simulate.heat.laminate import ENERGY as REFERENCE_ENERGY
from mmdefect.simulate.heat.laminate import delamination_contrast, spread_mm
from mmdefect.simulate.heat.view import Sight, View, leaders
from mmdefect.simulate.heat.walls import wall_rise, walls_below
from mmdefect.simulate.raster import Map, as_map
from mmdefect.simulate.station import DISTANCE_MM, FLASH

ENERGY = 6000.0  # J/m² that arrive in the middle of the part
DIRECT = 0.6
LAMP_MM = 60.0
HALF_FIELD_MM = 56.0
_LAMP = ((0, 0, 0), (1, 0, 0), (-1, 0, 0), (0, 0.6, 0.8), (0, -0.6, -0.8))
_COARSE = 3.0
_NEAR_MM = 3.0
_USUAL_PLATE_MM = 4.0


class FlashHeat:
    """What a flash left in a part.

    Parameters
    ----------
    view : View
    power : float, 1
        Of the flash.
    pattern : sequence of float (4,), 1
        Its unevenness at the edges of the field: slope along x and y, fall-off along x and y.
    """

    def __init__(self, view: View, power: float, pattern: Any) -> None:
        self._view, self._power, self._pattern = view, power, pattern
        rays, self._led_by = leaders(view)
        self._leading = view.sight.of(rays)
        lit = lamp_seen(self._leading)[self._led_by]
        self.absorbed = self._taken_up(view.sight, lit)

    def _taken_up(self, sight: Sight, lit: Map) -> Map:
        """Give the energy that places absorb (n,), J/m²."""
        arrives = arriving(sight, lit, self._pattern)
        return as_map(self._power * ENERGY * arrives * sight.emissivity)

    def rise(self, times: Any) -> Map:
        """Give each place's rise (time, n), K, at rising times (s) after the flash."""
        view = self._view
        bodies = view.sight.hits.body
        walls = walls_below(self._leading, max(times)).of(self._led_by)
        rise = np.zeros((len(times), len(bodies)), np.float32)
        for index in np.unique(bodies[bodies >= 0]):
            here = bodies == index
            material = view.sight.world.part.bodies[index].material
            energy, below = self.absorbed[here], walls.of(here)
            for moment, seconds in enumerate(times):
                warm = np.zeros(len(here), np.float32)
                warm[here] = wall_rise(energy, material, below, seconds)
                sigma = spread_mm(material, seconds) / view.pitch
                rise[moment, here] = conducted(
                    warm.reshape(view.shape), here.reshape(view.shape), sigma
                )
        for flaw in view.sight.world.part.delaminations:
            self._warm(rise, flaw, walls.thickness, times)
        return rise

    def rise_elsewhere(self, sight: Sight, times: Any) -> Map:
        """Give the rise (time, m), K, of places that only a mirror shows: thick and unspread."""
        taken_up, bodies = self._taken_up(sight, lamp_seen(sight)), sight.hits.body
        rise = np.zeros((len(times), len(bodies)), np.float32)
        for index in np.unique(bodies[bodies >= 0]):
            here = bodies == index
            material = sight.world.part.bodies[index].material
            for moment, seconds in enumerate(times):
                rise[moment, here] = wall_rise(taken_up[here], material, None, seconds)
        return rise

    def _warm(self, rise: Map, flaw: Delamination, thickness: Map, times: Any) -> None:
        """Add what one delamination adds, in place."""
        hits = self._view.sight.hits
        off = np.hypot(hits.places[:, 0] - flaw.x, hits.places[:, 1] - flaw.y)
        here = hits.body == self._view.sight.world.body_index(flaw.body)
        middle = here & (off < _NEAR_MM)
        plate = float(np.median(thickness[middle])) if middle.any() else _USUAL_PLATE_MM
        radius, contrast = delamination_contrast(
            flaw.depth, flaw.diameter, flaw.gap, times, plate=plate
        )
        near = np.flatnonzero(here & (off < radius[-1]))
        for moment in range(len(times)):
            extra = np.interp(off[near], radius, contrast[moment])
            rise[moment, near] += extra * self.absorbed[near] / np.float32(REFERENCE_ENERGY)


def arriving(sight: Sight, lit: Map, pattern: Any) -> Map:
    """Tell how much of the flash arrives at each place.

    Parameters
    ----------
    sight : Sight (n,)
    lit : Map (n,), 1
        Share of the lamp that a place sees.
    pattern : sequence of float (4,), 1
        See ``FlashHeat``.

    Returns
    -------
    Map (n,), 1
        1 where the middle of a flat part faces the sensors.
    """
    hits = sight.hits
    middle = np.array([0.0, 0.0, DISTANCE_MM])
    full = np.linalg.norm(FLASH - middle) ** 3 / (DISTANCE_MM - FLASH[2])
    towards = as_map(FLASH) - hits.points
    away = np.linalg.norm(towards, axis=1)
    cosine = np.clip(np.einsum("ij,ij->i", towards, sight.facets) / away, 0, 1)
    direct = full * cosine / away**2 * lit
    around = 0.5 - 0.5 * sight.facets[:, 2]
    u, v = hits.points[:, 0] / HALF_FIELD_MM, hits.points[:, 1] / HALF_FIELD_MM
    a, b, c, d = (float(value) for value in pattern)
    uneven = 1 + a * u + b * v + c * u * u + d * v * v
    return as_map(np.nan_to_num((DIRECT * direct + (1 - DIRECT) * around) * uneven))


def lamp_seen(sight: Sight) -> Map:
    """Tell which share of the lamp each place sees (n,), 1, by five places on its glass."""
    across = LAMP_MM / 2 * np.array(_LAMP)
    dark = [sight.world.hidden(sight.hits, FLASH + place) for place in across]
    return as_map(1 - np.mean(dark, axis=0))


def conducted(warm: Map, inside: Any, sigma: float) -> Map:
    """Spread heat along a body, whose edges keep it.

    Parameters
    ----------
    warm : Map (y, x), K
        0 outside the body.
    inside : Mask (y, x)
        Where the body is.
    sigma : float, px
        Standard deviation of the spread.

    Returns
    -------
    Map (n,), K
        Of the places inside, in order.
    """
    reach = int(np.ceil(3 * sigma)) + 1
    rows, columns = (
        slice(max(0, int(found[0]) - reach), int(found[-1]) + reach + 1)
        for found in (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    )
    warm, inside = warm[rows, columns], inside[rows, columns]
    block = max(1, int(sigma / _COARSE))
    share = _block_means(as_map(inside), block)
    heat = _block_means(warm, block)
    for values in (share, heat):
        ndimage.gaussian_filter(values, sigma / block, output=values, mode="constant", truncate=3.0)
    spread = heat / np.maximum(share, 1e-6)
    if block == 1:
        return as_map(spread[inside])
    places = (np.argwhere(inside) + 0.5) / block - 0.5
    return as_map(ndimage.map_coordinates(spread, places.T, order=1, mode="nearest"))


def _block_means(values: Map, block: int) -> Map:
    """Average (y, x) over square blocks; beyond the last there is nothing."""
    if block == 1:
        return values.copy()
    rows, columns = values.shape
    padded = np.pad(values, [(0, -rows % block), (0, -columns % block)])
    return as_map(padded.reshape(-(-rows // block), block, -1, block).mean(axis=(1, 3)))
