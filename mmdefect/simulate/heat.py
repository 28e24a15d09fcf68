"""Heat in a laminate after a flash: what a gap below the surface does to the temperature above.

An axisymmetric finite-volume model of a carbon-fibre plate with a circular, thermally resistant
gap, stepped explicitly. It is small enough (some 40 by 50 cells, some hundred steps) to be solved
for every delamination instead of being looked up, so that depth, diameter, gap and the blur by
lateral conduction come out together.
"""

import numpy as np

from mmdefect.simulate.truth import Map, as_map

CONDUCTIVITY_THROUGH = 0.67  # W/(m K)
CONDUCTIVITY_ALONG = 3.5  # W/(m K)
HEAT_CAPACITY = 1550.0 * 930.0  # J/(m³ K)
CONDUCTIVITY_AIR = 0.026  # W/(m K)
EFFUSIVITY = float(np.sqrt(CONDUCTIVITY_THROUGH * HEAT_CAPACITY))  # J/(m² K √s)
DIFFUSIVITY_ALONG = CONDUCTIVITY_ALONG / HEAT_CAPACITY  # m²/s

CELL_MM = 0.1
RING_MM = 0.25
MARGIN_MM = 7.0


def surface_rise(energy: float, seconds: float) -> float:
    """Return the surface's rise (K) above its start, on a sound half space after a flash.

    Parameters
    ----------
    energy : float, J/m²
        Absorbed energy.
    seconds : float, s
        Time since the flash.

    Notes
    -----
    Q / (e √(π t)), with the effusivity e = √(k ρ c) of the laminate.
    """
    return energy / (EFFUSIVITY * float(np.sqrt(np.pi * seconds)))


def delamination_contrast(
    depth: float, diameter: float, gap: float, seconds: float, *, plate: float = 4.0
) -> tuple[Map, Map]:
    """Return how much warmer the surface is above a circular gap, for 10 kJ/m² absorbed.

    Parameters
    ----------
    depth, diameter, gap, plate : float, mm
        Of the gap below the surface, across, its thickness; the plate's thickness.
    seconds : float, s
        Time since the flash.

    Returns
    -------
    radius : Map (r,), mm
        Distances from the gap's centre.
    contrast : Map (r,), K
        Rise above the sound plate there.
    """
    above = max(1, round(depth / CELL_MM))
    dz, dr = depth / above / 1e3, RING_MM / 1e3
    layers = max(above + 1, round(plate / 1e3 / dz))
    middles = (np.arange(int(np.ceil((diameter / 2 + MARGIN_MM) / RING_MM))) + 0.5) * dr
    steps = int(np.ceil(seconds / _stable_step(dz, dr)))
    dt = seconds / steps
    down = np.full((layers - 1, middles.size), CONDUCTIVITY_THROUGH / dz)
    covered = np.clip((diameter / 2e3 - middles) / dr + 0.5, 0, 1)
    resistive = 1 / (dz / CONDUCTIVITY_THROUGH + gap / 1e3 / CONDUCTIVITY_AIR)
    down[above - 1] += covered * (resistive - down[above - 1])
    down *= dt / (HEAT_CAPACITY * dz)
    out = (DIFFUSIVITY_ALONG * dt / dr**2) * (middles[:-1] + dr / 2)
    inward, outward = out / middles[1:], out / middles[:-1]
    kelvin = np.zeros((layers, middles.size))
    kelvin[0] = 1e4 / (HEAT_CAPACITY * dz)
    for _ in range(steps):
        falling = np.diff(kelvin, axis=0) * down
        radial = np.diff(kelvin, axis=1)
        kelvin[:-1] += falling
        kelvin[1:] -= falling
        kelvin[:, :-1] += radial * outward
        kelvin[:, 1:] -= radial * inward
    return as_map(middles * 1e3), as_map(kelvin[0] - kelvin[0, -1])


def _stable_step(dz: float, dr: float) -> float:
    """Return the longest explicit time step (s) that does not oscillate, with some reserve."""
    through = CONDUCTIVITY_THROUGH / HEAT_CAPACITY / dz**2
    along = DIFFUSIVITY_ALONG / dr**2
    return 0.45 / (through + along)
