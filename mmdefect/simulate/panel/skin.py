"""The panel's skin: cloth under resin, the pad's own cloth and its fillet of glue, the label.

Infrared hardly tells inks from resin: the emissivities of organic films differ by a hundredth.
"""

import numpy as np

from mmdefect.simulate.body import Finish, Skin
from mmdefect.simulate.marks import (
    Place,
    film,
    lettering,
    piece,
    printed,
    scratch_skin,
    settle_dust,
    touch,
    unevenness,
)
from mmdefect.simulate.panel.plan import (
    HEAD_MM,
    HEIGHT_MM,
    LABEL_MM,
    PAD_MM,
    WIDTH_MM,
    Panel,
)
from mmdefect.simulate.panel.shape import pad
from mmdefect.simulate.panel.weave import Cloth, twill
from mmdefect.simulate.raster import Map, as_map
from mmdefect.simulate.shapes import rectangle

PITCH_MM = 0.2
CARBON = 0.024
SHEEN = 1.0
FILLET_MM = 0.9
SOAKED = 0.35
_PAPER = Finish((0.52, 0.53, 0.50), roughness=0.40, specular=0.04, emissivity=0.91)
_INK = Finish((0.03, 0.03, 0.035), roughness=0.35, specular=0.04, emissivity=0.905)
_GLUE = Finish((0.075, 0.070, 0.055), roughness=0.25, specular=0.045, emissivity=0.905)
_HAZE = Finish((0.115, 0.098, 0.066), roughness=0.45, specular=0.035, emissivity=0.96)
_WHITENED = Finish((0.30, 0.30, 0.29), roughness=0.6, specular=0.04, emissivity=0.91)


def panel_skin(plan: Panel) -> Skin:
    """Paint the skin of laminate and pad.

    Parameters
    ----------
    plan : Panel

    Returns
    -------
    Skin
        Over the part's x and y, pitch 0.2 mm.
    """
    resin = Finish((CARBON,) * 3, roughness=plan.gloss, specular=0.045, emissivity=0.90)
    skin = Skin.of(resin, WIDTH_MM, HEIGHT_MM, PITCH_MM)
    x, y = skin.axes
    _lay(skin, plan, twill(x, y, plan.weave))
    _soak(skin, plan)
    _bond(skin, plan)
    _label(skin, plan)
    for place in plan.fasteners:
        _seat(skin, place)
    for near, grease in touch(skin, plan.smudges):
        near.channel("roughness")[...] += as_map(0.10 * grease)
        near.channel("sheen")[...] *= 1 - np.float32(0.2) * grease
        near.channel("emissivity")[...] += np.float32(0.004) * grease
    settle_dust(skin, plan.dust)
    _spoil(skin, plan)
    return skin


def _lay(skin: Skin, plan: Panel, cloth: Cloth) -> None:
    """Lay cloth onto a skin, in place."""
    carbon = CARBON * plan.tone * cloth.tone
    skin.raster.values[..., :3] = carbon[..., None] * as_map([0.97, 1.0, 1.05])
    skin.channel("sheen")[...] = np.float32(SHEEN) * cloth.tone
    skin.channel("fibre")[...] = cloth.angle
    skin.channel("slope_x")[...] = cloth.slope * np.cos(cloth.angle)
    skin.channel("slope_y")[...] = cloth.slope * np.sin(cloth.angle)
    skin.channel("emissivity")[...] = 0.90 + np.float32(0.004) * (cloth.tone - 1)


def _soak(skin: Skin, plan: Panel) -> None:
    """Let some places be rich in resin: fibres lie deeper there, in place."""
    shape = skin.raster.values.shape[:2]
    rich = np.clip(unevenness(plan.seed, shape, PITCH_MM, 5.0) - 1.2, 0, 1)
    skin.channel("sheen")[...] *= 1 - np.float32(SOAKED) * rich
    gloss = unevenness(plan.seed + 1, shape, PITCH_MM, 9.0)
    skin.channel("roughness")[...] *= 1 + np.float32(0.06) * gloss


def _bond(skin: Skin, plan: Panel) -> None:
    """Show the pad's cloth, turned by 45°, and the fillet of glue around it, in place."""
    place = plan.pad_place(plan.pad_look)
    near = piece(skin, place.x, place.y, max(PAD_MM) / 2 + 2 * FILLET_MM)
    x, y = near.axes
    beyond = pad(place)(x, y)
    top = near.copy()
    _lay(top, plan, twill(x, y, plan.weave, np.pi / 4))
    on_pad = beyond < 0
    near.raster.values[on_pad] = top.raster.values[on_pad]
    glue = as_map(np.clip(1.3 - 1.3 * np.abs(beyond - 0.3) / FILLET_MM, 0, 1))
    _cover(near, glue, _GLUE)


def _cover(skin: Skin, share: Map, finish: Finish) -> None:
    """Lay an opaque film over the cloth, in place."""
    skin.cover(share, finish)
    for name in ("sheen", "slope_x", "slope_y"):
        skin.channel(name)[...] *= 1 - share


def _label(skin: Skin, plan: Panel) -> None:
    """Print the label, in place."""
    place = plan.label
    near = piece(skin, place.x, place.y, LABEL_MM[0] / 2 + 2)
    u, v = place.local(*near.axes)
    inside = -rectangle(*LABEL_MM, 0.8)(u, v)
    _cover(near, as_map(np.clip(inside / PITCH_MM + 0.5, 0, 1)), _PAPER)
    ink = lettering(("CP-92 PANEL", f"S/N {plan.serial}"), LABEL_MM[0] - 9.0, LABEL_MM[1] - 1.8)
    near.cover(printed(ink, as_map(u + 3.4), v), _INK)
    near.cover(_code(plan.serial, u - (LABEL_MM[0] / 2 - 3.6), v), _INK)


def _code(serial: int, u: Map, v: Map) -> Map:
    """Draw a matrix code of 6 mm about the origin: 1 on a dark cell."""
    bits = np.random.default_rng(serial).integers(0, 2, (10, 10)).astype(np.float32)
    bits[:, 0] = bits[-1, :] = 1
    column, row = (np.floor((w + 3.0) / 0.6).astype(np.intp) for w in (u, v))
    found = (column >= 0) & (column < 10) & (row >= 0) & (row < 10)
    return as_map(np.where(found, bits[np.clip(row, 0, 9), np.clip(column, 0, 9)], 0))


def _seat(skin: Skin, place: Place) -> None:
    """Leave the dull mark of a fastener's seat, which only shows where none sits, in place."""
    near = piece(skin, place.x, place.y, HEAD_MM + 1)
    away = np.hypot(*place.local(*near.axes))
    seat = as_map(away < HEAD_MM - 0.2)
    near.channel("sheen")[...] *= 1 - np.float32(0.5) * seat
    near.channel("roughness")[...] += np.float32(0.2) * seat


def _spoil(skin: Skin, plan: Panel) -> None:
    """Scratch and stain the skin, in place."""
    for scratch in plan.scratches:
        scratch_skin(skin, scratch, _WHITENED)
    for stain in plan.stains:
        near, thick = film(skin, stain)
        near.cover(thick, _HAZE)
        near.channel("sheen")[...] *= 1 - np.float32(0.8) * thick
