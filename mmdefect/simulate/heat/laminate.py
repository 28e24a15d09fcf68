"""Heat in a laminate after a flash: what a gap below the surface does to the temperature above.

* A delamination is solved, not looked up: an axisymmetric finite-volume model of a carbon-fibre
  plate with a circular, thermally resistant gap, stepped explicitly. It is small (some 40 by 50
  cells, some hundred steps), so depth, diameter, gap and the blur by lateral conduction come out
  together.
* Losses to the air are left out: within two seconds they take 2 % of a laminate's heat.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mmdefect.simulate.materials import MATERIALS
from mmdefect.simulate.raster import Map, as_map

CONDUCTIVITY_THROUGH = MATERIALS["cfrp"].conductivity  # W/(m K)
CONDUCTIVITY_ALONG = 3.5  # W/(m K), of woven carbon fibre in its plane
HEAT_CAPACITY = MATERIALS["cfrp"].heat_capacity  # J/(m³ K)
CONDUCTIVITY_AIR = MATERIALS["air"].conductivity  # W/(m K)
DIFFUSIVITY_ALONG = CONDUCTIVITY_ALONG / HEAT_CAPACITY  # m²/s

CELL_MM = 0.1
RING_MM = 0.25
MARGIN_MM = 4.0
MARGIN_DEPTHS = 3.5
ENERGY = 1e4


def spread_mm(material: str, seconds: float) -> float:
    """Return the standard deviation (mm) to which a hot spot has spread along a wall: √(2 α t).

    Carbon fibre is taken along its plies, where it conducts five times better than through them.
    """
    along = DIFFUSIVITY_ALONG if material == "cfrp" else MATERIALS[material].diffusivity
    return 1e3 * float(np.sqrt(2 * along * seconds))


def delamination_contrast(
    depth: float, diameter: float, gap: float, times: Sequence[float], *, plate: float = 4.0
) -> tuple[Map, Map]:
    """Return how much warmer the surface is above a circular gap, for 10 kJ/m² absorbed.

    Parameters
    ----------
    depth, diameter, gap, plate : float, mm
        Of the gap below the surface, across, its thickness; the plate's thickness.
    times : sequence of float, s
        Since the flash, in rising order.

    Returns
    -------
    radius : Map (r,), mm
        Distances from the gap's centre.
    contrast : Map (time, r), K
        Rise above the sound plate there.

    Notes
    -----
    The step in time depends on the mesh alone and what lies between two steps is interpolated, so
    a moment's contrast does not depend on which others are asked for.
    """
    above = max(1, round(depth / CELL_MM))
    dz, dr = depth / above / 1e3, RING_MM / 1e3
    layers = max(above + 1, round(plate / 1e3 / dz))
    reach = diameter / 2 + MARGIN_MM + MARGIN_DEPTHS * depth
    middles = (np.arange(int(np.ceil(reach / RING_MM))) + 0.5) * dr
    dt = _stable_step(dz, dr)
    down = np.full((layers - 1, middles.size), CONDUCTIVITY_THROUGH / dz)
    covered = np.clip((diameter / 2e3 - middles) / dr + 0.5, 0, 1)
    resistive = 1 / (dz / CONDUCTIVITY_THROUGH + gap / 1e3 / CONDUCTIVITY_AIR)
    down[above - 1] += covered * (resistive - down[above - 1])
    down *= dt / (HEAT_CAPACITY * dz)
    out = (DIFFUSIVITY_ALONG * dt / dr**2) * (middles[:-1] + dr / 2)
    inward, outward = out / middles[1:], out / middles[:-1]
    kelvin = np.zeros((layers, middles.size))
    kelvin[0] = ENERGY / (HEAT_CAPACITY * dz)
    found, step = np.zeros((len(times), middles.size)), 0
    for moment, seconds in enumerate(times):
        while (step + 1) * dt <= seconds:
            _conduct(kelvin, down, inward, outward)
            step += 1
        share = seconds / dt - step
        ahead = kelvin.copy()
        _conduct(ahead, down, inward, outward)
        surface = kelvin[0] + share * (ahead[0] - kelvin[0])
        found[moment] = surface - surface[-1]
    return as_map(middles * 1e3), as_map(found)


def _conduct(kelvin: Any, down: Any, inward: Any, outward: Any) -> None:
    """Advance the temperatures (layer, ring) by one step, in place."""
    falling = np.diff(kelvin, axis=0) * down
    radial = np.diff(kelvin, axis=1)
    kelvin[:-1] += falling
    kelvin[1:] -= falling
    kelvin[:, :-1] += radial * outward
    kelvin[:, 1:] -= radial * inward


def _stable_step(dz: float, dr: float) -> float:
    """Return the longest explicit time step (s) that does not oscillate, with some reserve."""
    through = CONDUCTIVITY_THROUGH / HEAT_CAPACITY / dz**2
    along = DIFFUSIVITY_ALONG / dr**2
    return 0.45 / (through + along)
