"""How components look from above: colours of their cases, rims, polarity marks, printed texts.

A case is painted once in its own coordinates and laid over the part's when a component is placed,
turned as it is.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from mmdefect.simulate.body import Finish, Skin
from mmdefect.simulate.marks import Place, lettering, printed
from mmdefect.simulate.raster import Map, Raster, as_map

PITCH_MM = 0.15
_MARGIN_MM = 0.3

TIN = Finish((0.74, 0.73, 0.70), roughness=0.28, specular=0.65, metal=1.0, emissivity=0.15)
SOLDER = Finish((0.77, 0.77, 0.76), roughness=0.22, specular=0.7, metal=1.0, emissivity=0.12)
GOLD = Finish((0.85, 0.66, 0.32), roughness=0.25, specular=0.75, metal=1.0, emissivity=0.1)
BLACK = Finish((0.022, 0.022, 0.024), roughness=0.42, emissivity=0.93)
CARRIER = Finish((0.03, 0.10, 0.05), roughness=0.3, emissivity=0.91)
_CERAMIC = Finish((0.66, 0.64, 0.60), roughness=0.45, emissivity=0.9)
_GLAZE = Finish((0.018, 0.018, 0.020), roughness=0.2, emissivity=0.92)
_LASER = Finish((0.20, 0.20, 0.195), roughness=0.6, emissivity=0.93)
_WHITE = Finish((0.72, 0.72, 0.70), roughness=0.5, emissivity=0.92)
TAN = Finish((0.33, 0.22, 0.135), roughness=0.4, emissivity=0.92)
_YELLOW = Finish((0.62, 0.40, 0.05), roughness=0.4, emissivity=0.92)
_AMBER = Finish((0.55, 0.18, 0.03), roughness=0.4, emissivity=0.92)
_GREY = Finish((0.27, 0.27, 0.275), roughness=0.38, emissivity=0.92)
_BLUE = Finish((0.022, 0.065, 0.24), roughness=0.38, emissivity=0.92)
_FERRITE = Finish((0.05, 0.05, 0.053), roughness=0.55, emissivity=0.92)
_CAN = Finish((0.66, 0.65, 0.63), roughness=0.16, specular=0.62, metal=1.0, emissivity=0.2)
_ENGRAVED = Finish((0.22, 0.21, 0.20), roughness=0.5, specular=0.3, metal=0.4, emissivity=0.4)

Mark: TypeAlias = Callable[[Map, Map, tuple[float, float], str], Any]


@dataclass(frozen=True)
class Paint:
    """Finishes of a case's top, of its rim and sides, and of what is printed on it.

    Parameters
    ----------
    top, side, ink : Finish
    rim : float, mm
        Width of the rim, seen from above.
    mark : callable
        From coordinates on the case (mm), its size (mm) and the text to the ink's share, 0–1.
    round_case : bool
        Whether the case is a cylinder.
    """

    top: Finish
    side: Finish
    ink: Finish
    rim: float
    mark: Mark
    round_case: bool = False


def _lines(text: str) -> tuple[str, ...]:
    """Split a text into its lines."""
    return tuple(text.split("\n"))


def _text(x: Map, y: Map, size: tuple[float, float], text: str) -> Any:
    """Write a text over the middle of a case."""
    if not text:
        return np.float32(0)
    lines = _lines(text)
    tall = min(0.62 * size[1], 0.3 * size[0] * len(lines), 2.0 * len(lines))
    wide = min(0.72 * size[0], 0.66 * tall / len(lines) * max(map(len, lines)))
    return printed(lettering(lines, round(wide, 2), round(tall, 2)), x, y)


def _circuit(x: Map, y: Map, size: tuple[float, float], text: str) -> Any:
    """Write a text, and a dot at lead one."""
    dot = np.hypot(x + 0.40 * size[0], y + 0.36 * size[1]) - 0.07 * min(size)
    return np.maximum(_text(x, y, size, text), _sharp(-dot))


def _polarity(x: Map, y: Map, size: tuple[float, float], text: str) -> Any:
    """Blacken the segment at the negative end of a can, and write its value."""
    segment = _sharp(-x - 0.26 * size[0])
    return np.maximum(segment, _text(x - 0.12 * size[0], y, (0.7 * size[0], 0.6 * size[1]), text))


def _band(x: Map, y: Map, size: tuple[float, float], text: str) -> Any:
    """Mark one end with a band, and write a text."""
    return np.maximum(_sharp(x - 0.30 * size[0]), _text(x + 0.1 * size[0], y, size, text))


def _lens(x: Map, y: Map, size: tuple[float, float], _: str) -> Any:
    """Show the round window of a light-emitting diode."""
    return _sharp(0.4 * min(size) - np.hypot(x, y))


def _disc(x: Map, y: Map, size: tuple[float, float], text: str) -> Any:
    """Draw a ring around a text."""
    ring = 0.25 - np.abs(np.hypot(x, y) - 0.40 * min(size))
    return np.maximum(0.25 * _sharp(ring), _text(x, y, size, text))


def _sharp(distance: Any) -> Map:
    """Turn a distance inside an edge (mm) into a share, 0–1."""
    return as_map(np.clip(distance / PITCH_MM + 0.5, 0, 1))


PAINTS: dict[str, Paint] = {
    "resistor": Paint(_GLAZE, _CERAMIC, _WHITE, 0.12, _text),
    "ceramic": Paint(TAN, TAN, TAN, 0.1, lambda *_: np.float32(0)),
    "tantalum": Paint(_YELLOW, _YELLOW, _AMBER, 0.1, _band),
    "led": Paint(_WHITE, _WHITE, _YELLOW, 0.2, _lens),
    "diode": Paint(BLACK, BLACK, _WHITE, 0.1, _band),
    "grey_can": Paint(_GREY, _GREY, BLACK, 0.35, _polarity, True),
    "blue_can": Paint(_BLUE, _BLUE, _WHITE, 0.35, _polarity, True),
    "circuit": Paint(BLACK, BLACK, _LASER, 0.25, _circuit),
    "coil": Paint(_FERRITE, _FERRITE, _WHITE, 0.3, _disc),
    "crystal": Paint(_CAN, _CAN, _ENGRAVED, 0.25, _text),
    "shroud": Paint(BLACK, BLACK, _WHITE, 0.1, lambda *_: np.float32(0)),
}


@lru_cache(maxsize=256)
def _shares(name: str, size: tuple[float, float], text: str) -> Raster:
    """Draw the rim's and the ink's share (y, x, 2) over a case in its own coordinates."""
    paint = PAINTS[name]
    raster = Raster.over(size[0], size[1], PITCH_MM, 2)
    x, y = raster.axes
    if paint.round_case:
        inside = min(size) / 2 - np.hypot(x, y)
    else:
        inside = np.minimum(size[0] / 2 - np.abs(x), size[1] / 2 - np.abs(y))
    raster.values[..., 0] = _sharp(paint.rim - inside)
    u, v = np.broadcast_arrays(x, y)
    raster.values[..., 1] = paint.mark(u, v, size, text)
    return raster


def toned(finish: Finish, tone: float) -> Finish:
    """Give a finish that is brighter or darker by a factor."""
    red, green, blue = (min(tone * value, 0.95) for value in finish.albedo)
    return replace(finish, albedo=(red, green, blue))


def painted(
    name: str, size: tuple[float, float], text: str, place: Place, tone: float
) -> Finish | Skin:
    """Paint a case where it stands.

    Parameters
    ----------
    name : str
        Key of ``PAINTS``.
    size : tuple of float, mm
        Of the case, along its own x and y.
    text : str
    place : Place
    tone : float, 1
        Factor on the colours of its batch.

    Returns
    -------
    Finish or Skin
        A skin over the case's rectangle in the part's coordinates.
    """
    paint = PAINTS[name]
    if paint.top == paint.side == paint.ink:
        return toned(paint.top, tone)
    c, s = abs(np.cos(place.turn)), abs(np.sin(place.turn))
    width = c * size[0] + s * size[1] + 2 * _MARGIN_MM
    height = s * size[0] + c * size[1] + 2 * _MARGIN_MM
    about = Raster.over(width, height, PITCH_MM)
    about = replace(about, x=about.x + place.x, y=about.y + place.y)
    u, v = place.local(*np.broadcast_arrays(*about.axes))
    shares = _shares(name, size, text).at(u.ravel(), v.ravel())
    top, side, ink = (toned(paint.top, tone), toned(paint.side, tone), paint.ink)
    values = np.repeat(top.channels[None], u.size, axis=0)
    for share, finish in zip(shares.T, (side, ink), strict=True):
        some = np.flatnonzero(share)
        values[some] += share[some, None] * (finish.channels - values[some])
    return Skin(replace(about, values=values.reshape(*u.shape, -1)))
