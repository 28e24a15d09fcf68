"""Two-by-two twill, tow by tow.

A woven laminate does not look woven because its surface is uneven (resin fills it) but because
carbon fibres reflect like fine cylinders: light comes back where the fibre is perpendicular to
the bisector of light and view. A float that dives under its neighbours turns through that angle
once, which gives each float its bright band and the cloth its diagonals. So the weave is kept as
fibre directions and slopes, and the light does the rest. Warp tows, woven under tension, lie
flatter than weft tows and reflect a little more.
"""

from dataclasses import dataclass

import numpy as np

from mmdefect.simulate.raster import Map, as_map

TOW_MM = 2.4
SLOPE = 0.60
CRIMP = 0.18
TONES = 96
STREAKS = 12
STREAKINESS = 0.09


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
    streaks : Map (TONES, STREAKS), 1
        Of bundles of filaments across a tow.
    """

    phase: tuple[float, float]
    turn: float
    waviness: tuple[float, float, float, float]
    tones: Map
    streaks: Map


@dataclass(frozen=True)
class Cloth:
    """The uppermost fibres at each place.

    Parameters
    ----------
    angle : Map, rad
        Direction of the fibres, from x towards y.
    slope : Map, 1
        How they rise along that direction.
    tone : Map, 1
        Relative reflectance: tow by tow, darker in the grooves between tows.
    groove : Map, 1
        0 in the middle of a tow, 1 between tows, where resin is thick.
    """

    angle: Map
    slope: Map
    tone: Map
    groove: Map


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
        streaks=as_map(1 + STREAKINESS * rng.standard_normal((TONES, STREAKS))),
    )


def twill(x: Map, y: Map, weave: Weave, turn: float = 0.0) -> Cloth:
    """Lay the cloth.

    Parameters
    ----------
    x, y : Map, mm
        Positions in the panel's coordinates, broadcast against each other.
    weave : Weave
        How the cloth lies.
    turn : float, rad
        By how much this piece of cloth is turned further.

    Returns
    -------
    Cloth
    """
    whole = weave.turn + turn
    c, s = np.float32(np.cos(whole)), np.float32(np.sin(whole))
    right, down = as_map(c * x + s * y), as_map(c * y - s * x)
    a, start_a, b, start_b = (np.float32(value) for value in weave.waviness)
    u = (right + a * np.sin(down / 5.9 + start_a) + np.float32(weave.phase[0])) / TOW_MM
    v = (down + b * np.sin(right / 6.7 + start_b) + np.float32(weave.phase[1])) / TOW_MM
    column, row = np.floor(u), np.floor(v)
    step = np.mod(column + row, 4)
    warp = step < 2
    # -1 at the start of a float that covers two crossings, +1 at its end
    along = np.where(warp, step + (v - row), step - 2 + (u - column)) - 1
    across = np.where(warp, u - column, v - row) * 2 - 1
    index = np.where(warp, column, row).astype(np.int32) % TONES
    groove, dive = across**4, along**4
    bundle = ((across + 1) * (STREAKS / 2 - 1e-3)).astype(np.int32)
    tone = weave.tones[np.where(warp, 0, 1), index] * weave.streaks[index, bundle]
    tone = tone * (1 - 0.30 * groove * groove) * (1 - 0.22 * dive)
    tone = tone * np.where(warp, np.float32(1 + CRIMP), np.float32(1 - CRIMP))
    angle = np.where(warp, np.float32(whole + np.pi / 2), np.float32(whole))
    return Cloth(as_map(angle), as_map(-SLOPE * along), as_map(tone), as_map(groove))
