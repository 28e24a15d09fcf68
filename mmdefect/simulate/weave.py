"""Two-by-two twill, tow by tow.

A woven laminate does not look woven because its surface is uneven (resin fills it) but because
carbon fibres reflect like fine cylinders: light comes back where the fibre is perpendicular to
the bisector of light and view. A float that dives under its neighbours turns through that angle
once, which gives each float its bright band and the cloth its diagonals. So the weave is kept as
fibre directions, and the light does the rest.
"""

from dataclasses import dataclass

import numpy as np

from mmdefect.simulate.truth import Map, Mask, as_map

TOW_MM = 2.4
SLOPE = 0.60
TONES = 96


@dataclass(frozen=True)
class Weave:
    """How one panel's cloth happens to lie.

    Parameters
    ----------
    phase : tuple of float, mm
        Offset of the tow pattern.
    turn : float, rad
        Angle of the cloth against the panel.
    waviness : tuple of float
        Amplitude (mm) and phase (rad) of the tows' slow wander, along x and along y.
    tones : Map (2, TONES), 1
        Relative reflectance of each warp and each weft tow.
    """

    phase: tuple[float, float]
    turn: float
    waviness: tuple[float, float, float, float]
    tones: Map


def draw_weave(rng: np.random.Generator) -> Weave:
    """Draw phase, angle, waviness and tow tones of one panel's cloth."""
    phase = rng.uniform(0, 4 * TOW_MM, 2)
    amplitude = rng.uniform(0.05, 0.25, 2)
    start = rng.uniform(0, 2 * np.pi, 2)
    return Weave(
        phase=(float(phase[0]), float(phase[1])),
        turn=float(np.deg2rad(rng.normal(0, 0.7))),
        waviness=(float(amplitude[0]), float(start[0]), float(amplitude[1]), float(start[1])),
        tones=as_map(1 + 0.08 * rng.standard_normal((2, TONES))),
    )


def _float_position(step: Map, within: Map, first: int) -> Map:
    """Return -1 at the start of a float that covers two crossings, +1 at its end."""
    return as_map(step - first + within - 1)


def twill(x: Map, y: Map, weave: Weave) -> tuple[Mask, Map, Map]:
    """Lay the cloth.

    Parameters
    ----------
    x, y : Map, mm
        Positions in the panel's coordinates.
    weave : Weave
        How the cloth lies.

    Returns
    -------
    warp : Mask
        Where a warp tow (along y) is on top; a weft tow (along x) elsewhere.
    slope : Map, 1
        Out-of-plane slope of the top fibre along its own direction.
    tone : Map, 1
        Relative reflectance: tow by tow, darker in the grooves between tows.
    """
    a, start_a, b, start_b = weave.waviness
    u = as_map((x + a * np.sin(y / 5.9 + start_a) + weave.phase[0]) / TOW_MM)
    v = as_map((y + b * np.sin(x / 6.7 + start_b) + weave.phase[1]) / TOW_MM)
    column, row = np.floor(u), np.floor(v)
    across_u, across_v = u - column, v - row
    step = np.mod(column + row, 4)
    warp = step < 2
    along = np.where(warp, _float_position(step, across_v, 0), _float_position(step, across_u, 2))
    across = np.where(warp, across_u, across_v) * 2 - 1
    index = np.where(warp, column, row).astype(np.int64) % TONES
    groove = across * across
    groove *= groove
    dive = along * along
    tone = weave.tones[np.where(warp, 0, 1), index]
    tone = tone * (1 - 0.30 * groove * groove) * (1 - 0.22 * dive * dive)
    return warp, as_map(-SLOPE * along), as_map(tone)
