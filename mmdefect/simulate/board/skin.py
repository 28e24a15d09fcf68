"""The bare board's surface: solder mask over copper, tinned pads, print, flux, dust.

What is the same on every board is composed once; a board copies it and changes its tint, its
print and what lies on it.
"""

from functools import lru_cache

import numpy as np

from mmdefect.simulate.board.artwork import (
    PITCH_MM,
    copper,
    drills,
    relief,
    silkscreen,
    tinned,
)
from mmdefect.simulate.board.layout import BOARD_MM
from mmdefect.simulate.board.paint import TIN
from mmdefect.simulate.board.plan import BoardPlan, Print
from mmdefect.simulate.body import Finish, Skin
from mmdefect.simulate.marks import film, settle_dust, touch
from mmdefect.simulate.raster import Map, Mask, as_map

_OVER_LAMINATE = Finish((0.010, 0.075, 0.028), roughness=0.26, specular=0.045, emissivity=0.90)
_OVER_COPPER = Finish((0.022, 0.150, 0.052), roughness=0.24, specular=0.045, emissivity=0.90)
_DRILL = Finish((0.006, 0.035, 0.014), roughness=0.3, emissivity=0.92)
_INK = Finish((0.78, 0.78, 0.75), roughness=0.5, emissivity=0.92)
_FLUX = Finish((0.21, 0.135, 0.045), roughness=0.16, specular=0.05, emissivity=0.93)
_RESIDUE = Finish((0.42, 0.37, 0.26), roughness=0.42, specular=0.05, emissivity=0.94)
_GREASE = Finish((0.05, 0.11, 0.06), roughness=0.42, emissivity=0.93)
_GREASE_SHARE = 0.3
_FLUX_SHARE, _RESIDUE_SHARE = 0.75, 0.85
_SMEAR_STEPS = 16


@lru_cache(maxsize=1)
def _bare() -> tuple[Skin, Map]:
    """Compose mask, copper and pads; give where the mask is too (y, x), 0–1."""
    skin = Skin.of(_OVER_LAMINATE, *BOARD_MM, PITCH_MM)
    skin.cover(copper(), _OVER_COPPER)
    skin.cover(0.8 * drills(), _DRILL)
    skin.cover(tinned(), TIN)
    masked = as_map(1 - tinned())
    for name, slope in zip(("slope_x", "slope_y"), relief(), strict=True):
        skin.channel(name)[...] = slope * masked
    return skin, masked


def printed_ink(sheet: Print) -> Map:
    """Give how much ink lies at each place of the board (y, x), 0–1."""
    ink = _shifted(silkscreen(sheet.legends), sheet.shift_x / PITCH_MM, sheet.shift_y / PITCH_MM)
    if sheet.smear is not None:
        _drag(ink, sheet)
    ink *= np.float32(sheet.strength)
    return ink * (1 - tinned())


def _shifted(share: Map, right: float, down: float) -> Map:
    """Shift an image by a few pixels, bilinearly; its border is blank."""
    for axis, way in ((1, right), (0, down)):
        whole = int(np.floor(way))
        part = np.float32(way - whole)
        one, other = np.roll(share, whole, axis), np.roll(share, whole + 1, axis)
        share = one + part * (other - one)
    return share


def _drag(ink: Map, sheet: Print) -> None:
    """Drag the wet ink, in place: it thins out along the way."""
    smear = sheet.smear
    assert smear is not None
    grid = Skin.of(_INK, *BOARD_MM, PITCH_MM).raster
    x, y = grid.axes
    inside = np.clip((smear.reach - np.hypot(x - smear.place.x, y - smear.place.y)) / 0.4, 0, 1)
    rows, columns = (np.flatnonzero((inside > 0).any(axis=axis)) for axis in (1, 0))
    near = np.ix_(rows, columns)
    wet = ink[near] * inside[near]
    dragged = np.zeros_like(wet)
    c, s = np.cos(smear.place.turn), np.sin(smear.place.turn)
    for step in np.linspace(0, 1, _SMEAR_STEPS):
        way = step * smear.way / PITCH_MM
        moved = _shifted(wet, float(c * way), float(s * way))
        dragged += moved * np.float32(1 - 0.75 * step)
    ink[near] = np.maximum(ink[near] * (1 - 0.35 * inside[near]), np.minimum(dragged / 6, 0.8))


def board_skin(plan: BoardPlan) -> Skin:
    """Give the surface of the bare board as it was made and soldered."""
    bare, masked = _bare()
    skin = bare.copy()
    for channel, tint in enumerate(plan.tint):
        skin.raster.values[..., channel] *= 1 + np.float32(tint - 1) * masked
    _cover_where(skin, printed_ink(plan.silkscreen), _INK)
    for stains, finish, share in (
        (plan.flux, _FLUX, _FLUX_SHARE),
        (plan.residue, _RESIDUE, _RESIDUE_SHARE),
    ):
        for stain in stains:
            near, thick = film(skin, stain)
            near.cover(share * thick, finish)
    for near, grease in touch(skin, plan.smudges):
        near.cover(_GREASE_SHARE * grease, _GREASE)
    settle_dust(skin, plan.dust)
    return skin


def _cover_where(skin: Skin, share: Map, finish: Finish) -> None:
    """Cover a skin only where there is something to cover it with."""
    flat = share.ravel()
    some = np.flatnonzero(flat > 1e-3)
    values = skin.raster.values.reshape(flat.size, -1)
    new = finish.channels[:7]
    values[some, :7] += flat[some, None] * (new - values[some, :7])


def ink_difference(one: Print, other: Print) -> Mask:
    """Tell where two prints differ (y, x)."""
    return np.asarray(np.abs(printed_ink(one) - printed_ink(other)) > 0.15)
