"""What is added to the laminate: button-head fasteners and the printed label.

Each is drawn into a small window of the maps, in place, while a panel is being built.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import cos, sin
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from mmdefect.simulate.truth import FIELD_MM, Map, Truth, as_map

Window: TypeAlias = tuple[slice, slice]

HEAD_MM = 3.4
HOLE_MM = 2.1
RIM_MM = 0.5
DOME_MM = 1.3
SOCKET_MM = 1.3
SOCKET_DEPTH_MM = 1.1
HOLE_FLOOR_MM = -6.0

LABEL_MM = (20.0, 9.0)
INK_PER_MM = 5


@dataclass(frozen=True)
class Placement:
    """Where a fitting sits: x and y in the part's coordinates (mm), angle (rad)."""

    x: float
    y: float
    turn: float


def _window(truth: Truth, at: tuple[float, float], reach: float) -> Window:
    """Return the rows and columns of the maps within `reach` (mm) of a position on the grid."""
    pitch, count = truth.grid.fine, truth.height.shape[0]
    bounds = [
        slice(
            max(0, int((centre + FIELD_MM / 2 - reach) / pitch)),
            min(count, int((centre + FIELD_MM / 2 + reach) / pitch) + 2),
        )
        for centre in (at[1], at[0])
    ]
    return bounds[0], bounds[1]


def _hexagon(u: Map, v: Map, turn: float) -> Map:
    """Return the distance (mm) from the centre, measured across a hexagon's nearest flat."""
    flats = [np.abs(u * cos(turn + k) + v * sin(turn + k)) for k in (0, np.pi / 3, 2 * np.pi / 3)]
    return as_map(np.maximum(np.maximum(flats[0], flats[1]), flats[2]))


def mount(truth: Truth, place: Placement, at: tuple[float, float], *, present: bool) -> None:
    """Put a button-head fastener into its hole, or leave the hole empty.

    Parameters
    ----------
    truth : Truth
        Maps under construction; changed in place.
    place : Placement
        The hole, in the part's coordinates.
    at : tuple of float, mm
        The same position on the grid.
    present : bool
        False leaves a through hole with the mark of the seat around it.
    """
    window = _window(truth, at, HEAD_MM + 1)
    u = truth.x[window] - np.float32(place.x)
    v = truth.y[window] - np.float32(place.y)
    if present:
        _seat_head(truth, window, u, v, place.turn)
    else:
        _leave_hole(truth, window, as_map(np.hypot(u, v)))


def _seat_head(truth: Truth, window: Window, u: Map, v: Map, turn: float) -> None:
    """Put a domed head with a hexagon socket onto the surface, in place."""
    radius = np.hypot(u, v)
    head = radius < HEAD_MM
    dome = RIM_MM + DOME_MM * (1 - (radius / HEAD_MM) ** 2)
    socket = RIM_MM + DOME_MM - SOCKET_DEPTH_MM
    dome = np.where(_hexagon(u, v, turn) < SOCKET_MM, socket, dome)
    height = truth.height[window]
    height[head] = (np.median(height[head]) + dome)[head]
    cover = np.clip((HEAD_MM - radius) / truth.grid.fine + 0.5, 0, 1)
    truth.metal[window] = np.maximum(truth.metal[window], cover)
    truth.sheen[window] *= 1 - cover
    truth.emissivity[window][head] = 0.30
    truth.absorptivity[window][head] = 0.42
    truth.effusivity[window][head] = 7.0


def _leave_hole(truth: Truth, window: Window, radius: Map) -> None:
    """Leave a through hole with the dull mark of the seat around it, in place."""
    seat, hole = radius < HEAD_MM, radius < HOLE_MM
    albedo = truth.albedo[:, *window]
    albedo[:, seat] *= np.float32(0.8)
    albedo[:, hole] = np.float32(0.016)
    truth.sheen[window][seat] *= np.float32(0.7)
    truth.sheen[window][hole] = 0
    truth.gloss[window][hole] = 0
    truth.height[window][hole] = HOLE_FLOOR_MM
    truth.opening[window][hole] = True


@lru_cache(maxsize=8)
def draw_label_ink(serial: int) -> Map:
    """Draw the label's artwork: a pale field with dark print.

    Parameters
    ----------
    serial : int
        The number to print.

    Returns
    -------
    Map (y, x), 1
        1 where the field is blank, 0 under dark print; `INK_PER_MM` pixels a millimetre.
    """
    zoom = 4 * INK_PER_MM
    image = Image.new("L", (int(LABEL_MM[0] * zoom), int(LABEL_MM[1] * zoom)), 255)
    draw = ImageDraw.Draw(image)
    for text, top, tall in (("CP-92", 0.4, 3.6), (f"S/N {serial}", 4.6, 2.7)):
        font = ImageFont.load_default(tall * zoom)
        draw.text((1.2 * zoom, top * zoom), text, 0, font, stroke_width=0.12 * zoom)
    bits = np.random.default_rng(serial).integers(0, 2, (8, 8)).astype(np.uint8)
    bits[:, 0] = bits[-1, :] = 1
    code = Image.fromarray((1 - bits) * 255).resize((6 * zoom, 6 * zoom), Image.Resampling.NEAREST)
    image.paste(code, (int(12.8 * zoom), int(1.5 * zoom)))
    return as_map(np.asarray(image.reduce(4)) / 255)


def print_label(truth: Truth, place: Placement, ink: Map) -> None:
    """Print the label onto the laminate, in place.

    The ink is thermally plain: the heater is taken to be filtered to wavelengths beyond 2 µm,
    where organic inks absorb and emit almost as the resin does.
    """
    c, s = cos(place.turn), sin(place.turn)
    x, y = truth.x - np.float32(place.x), truth.y - np.float32(place.y)
    near = (np.abs(x) < LABEL_MM[0] / 2 + 2) & (np.abs(y) < LABEL_MM[0] / 2)
    rows, columns = np.any(near, axis=1), np.any(near, axis=0)
    window = np.ix_(rows, columns)
    x, y = x[window], y[window]
    u, v = c * x + s * y, c * y - s * x
    edge = np.minimum(LABEL_MM[0] / 2 - np.abs(u), LABEL_MM[1] / 2 - np.abs(v))
    cover = as_map(np.clip(edge / truth.grid.fine + 0.5, 0, 1))
    places = [
        (v + LABEL_MM[1] / 2) * INK_PER_MM - 0.5,
        (u + LABEL_MM[0] / 2) * INK_PER_MM - 0.5,
    ]
    blank = as_map(ndimage.map_coordinates(ink, places, order=1, mode="nearest"))
    for channel, pale in enumerate((0.52, 0.53, 0.50)):
        paper = 0.03 + (pale - 0.03) * blank
        layer = truth.albedo[channel][window]
        truth.albedo[channel][window] = layer + cover * (paper - layer)
    truth.sheen[window] *= 1 - cover
    truth.absorptivity[window] -= as_map(0.001 * cover)
