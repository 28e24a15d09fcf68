"""The bracket's skin: what cutting, blasting, marking and handling leave on aluminium.

* Tool marks are slopes, so lamps draw them; their direction turns with the tool, lane by lane.
* Broken edges are narrow slopes too: they glint or stay dark by where they face.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from mmdefect.simulate.body import Finish, Skin
from mmdefect.simulate.bracket.plan import (
    BLASTED,
    FIELD,
    HEIGHT_MM,
    OPTION_RADIUS_MM,
    WIDTH_MM,
    Bracket,
    Milling,
)
from mmdefect.simulate.bracket.shape import (
    flange,
    level,
    placed,
    pocket,
    round_shapes,
)
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
from mmdefect.simulate.raster import Map, as_map
from mmdefect.simulate.shapes import Distance, rectangle

PITCH_MM = 0.2
SPECULAR = 0.82
EMISSIVITY = 0.12
_EDGE_SLOPE = 0.75
_LASER = Finish((0.11, 0.11, 0.12), roughness=0.5, specular=0.05, emissivity=0.55)
_BLACK = Finish((0.018, 0.018, 0.018), roughness=0.6, specular=0.01, emissivity=EMISSIVITY)
_OIL = Finish((0.17, 0.125, 0.07), roughness=0.22, specular=0.06, emissivity=0.80)
_TORN = Finish((0.95, 0.95, 0.95), roughness=0.40, specular=0.90, metal=1.0, emissivity=0.15)


def bracket_skin(plan: Bracket) -> Skin:
    """Paint the skin of the milled body.

    Parameters
    ----------
    plan : Bracket

    Returns
    -------
    Skin
        Over the part's x and y, pitch 0.2 mm.
    """
    milling = plan.milling
    grey = 0.90 * milling.tone
    finish = Finish((grey, grey * 1.005, grey * 1.01), milling.roughness, SPECULAR, 1.0, EMISSIVITY)
    skin = Skin.of(finish, WIDTH_MM, HEIGHT_MM, PITCH_MM)
    _cut(skin, plan)
    _texture(skin, plan)
    _blast(skin, Place(*BLASTED[:2]), BLASTED[2:], milling.seed)
    _break_edges(skin, plan)
    _mark(skin, plan)
    for near, grease in touch(skin, plan.smudges):
        near.channel("roughness")[...] += as_map(0.06 * grease)
        near.channel("emissivity")[...] += as_map(0.03 * grease)
        near.raster.values[..., :3] *= (1 - 0.10 * grease)[..., None]
    settle_dust(skin, plan.dust)
    _spoil(skin, plan)
    return skin


def tool_marks(x: Any, y: Any, milling: Milling, fine: float = 1.0) -> tuple[Map, Map]:
    """Give the slopes (along x, along y) of arcs that a face mill leaves, lane by lane.

    Parameters
    ----------
    x, y : Map, mm
        Broadcast against each other.
    milling : Milling
    fine : float, 1
        Scale of lanes and marks: below 1 for a smaller tool.
    """
    c, s = np.float32(np.cos(milling.turn)), np.float32(np.sin(milling.turn))
    along = (c * x + s * y) / np.float32(fine) + milling.offset[1]
    across = (c * y - s * x) / np.float32(fine) + milling.offset[0]
    lane = np.floor(across / milling.lane)
    off = across - (lane + np.float32(0.5)) * np.float32(milling.lane)
    way = 1 - 2 * np.mod(lane, 2)
    depth = np.sqrt(np.maximum(milling.radius**2 - off * off, 1.0))
    phase = (along - way * depth) * (2 * np.pi / milling.feed)
    beat = phase * 0.137 + lane
    steep = milling.depth * (np.cos(phase) + 0.7 * np.cos(beat) + 0.25 * np.cos(2.3 * phase))
    tilt_along, tilt_across = depth / milling.radius, way * off / milling.radius
    slope_u, slope_v = steep * tilt_along, steep * tilt_across + 0.008 * way
    return as_map(c * slope_u - s * slope_v), as_map(s * slope_u + c * slope_v)


def _cut(skin: Skin, plan: Bracket) -> None:
    """Leave the tools' marks: face mill, end mill in the pocket, turned bosses, in place."""
    x, y = skin.axes
    skin.channel("slope_x")[...], skin.channel("slope_y")[...] = tool_marks(x, y, plan.milling)
    middle = plan.pocket
    near = piece(skin, middle.x, middle.y, 20.0)
    x, y = near.axes
    floor = pocket(plan)(x, y) < 0
    for channel, slopes in zip(
        ("slope_x", "slope_y"), tool_marks(x, y, plan.milling, 0.36), strict=True
    ):
        near.channel(channel)[floor] = slopes[floor]
    for boss in plan.bosses:
        near = piece(skin, boss.x, boss.y, boss.radius + 0.5)
        x, y = near.axes
        away = np.maximum(boss.away(x, y), 0.2)
        steep = plan.milling.depth * np.cos(2 * np.pi * away / 0.7) * (away < boss.radius)
        inside = away < boss.radius
        near.channel("slope_x")[inside] = (steep * (x - boss.x) / away)[inside]
        near.channel("slope_y")[inside] = (steep * (y - boss.y) / away)[inside]


def _texture(skin: Skin, plan: Bracket) -> None:
    """Vary the finish slowly, and add fine grain, in place."""
    seed = plan.milling.seed
    shape = skin.raster.values.shape[:2]
    slow = unevenness(seed, shape, PITCH_MM, 14.0)
    fine = unevenness(seed + 1, shape, PITCH_MM, 0.5)
    skin.channel("roughness")[...] *= 1 + 0.05 * slow
    skin.channel("slope_x")[...] += 0.012 * fine
    skin.channel("slope_y")[...] += 0.012 * np.roll(fine, 37, axis=1)
    skin.raster.values[..., :3] *= (1 + 0.015 * slow + 0.02 * fine)[..., None]


def _blast(skin: Skin, place: Place, size: tuple[float, ...], seed: int) -> None:
    """Roughen a bonding area with beads, in place."""
    near = piece(skin, place.x, place.y, max(size))
    x, y = near.axes
    inside = -placed(rectangle(size[0], size[1], 1.5), place)(x, y)
    share = as_map(np.clip(inside / 0.5 + 0.5, 0, 1))
    grain = unevenness(seed + 2, share.shape, PITCH_MM, 0.4)
    for channel, kept in (("slope_x", 0.15), ("slope_y", 0.15)):
        values = near.channel(channel)
        values *= 1 - (1 - kept) * share
        values += 0.05 * share * (grain if channel == "slope_x" else grain[::-1])
    near.channel("roughness")[...] += share * np.float32(0.16)
    near.channel("emissivity")[...] += share * np.float32(0.12)
    near.raster.values[..., :3] *= (1 - 0.12 * share)[..., None]


def _break_edges(skin: Skin, plan: Bracket) -> None:
    """Break the edges of all faces: slopes that fall outwards, in place."""
    x, y = skin.axes
    shape = skin.raster.values.shape[:2]
    worn = unevenness(plan.milling.seed + 3, shape, PITCH_MM, 6.0)
    for region, rim in _edges(plan):
        inside = np.broadcast_to(as_map(region(x, y)), shape)
        down, right = np.gradient(inside, np.float32(PITCH_MM))
        width = plan.milling.chamfer * rim * (1 + 0.15 * worn)
        share = np.clip((inside + width) / PITCH_MM + 0.5, 0, 1) * (inside < PITCH_MM)
        for channel, towards in (("slope_x", right), ("slope_y", down)):
            values = skin.channel(channel)
            values += share * (-_EDGE_SLOPE * towards - values)


def _edges(plan: Bracket) -> list[tuple[Distance, float]]:
    """List faces with broken edges, and how wide against the bracket's chamfer."""
    return [
        (_top_face(plan), 1.0),
        (round_shapes(plan.bosses), 1.2),
        (flange(plan), 1.0),
    ]


def _top_face(plan: Bracket) -> Distance:
    """Give the base's top face, whose edges at bosses and flange are inner corners: unbroken."""
    shape = level(_look(plan))
    inner = (round_shapes(plan.bosses), flange(plan))

    def distance(x: Any, y: Any) -> Any:
        found = shape(x, y)
        near = np.min([corner(x, y) for corner in inner], axis=0)
        return np.where(near < 1.0, np.where(near < 0, 9.0, -9.0), found)

    return distance


def _look(plan: Bracket) -> Bracket:
    """Give the plan as it looks: a printed hole looks drilled."""
    return replace(plan, drilled=True) if plan.printed else plan


def _mark(skin: Skin, plan: Bracket) -> None:
    """Mark the serial number by laser, and print what is printed, in place."""
    place = plan.field
    near = piece(skin, place.x, place.y, FIELD[2] / 2 + 1)
    u, v = place.local(*near.axes)
    ink = lettering(("AB-7 6082-T6", f"S/N {plan.serial} <> 24"), FIELD[2], FIELD[3])
    near.cover(0.85 * printed(ink, u, v), _LASER)
    if plan.printed:
        spot = plan.option
        near = piece(skin, spot.x, spot.y, OPTION_RADIUS_MM + 1)
        inside = (spot.radius - spot.away(*near.axes)) / PITCH_MM
        share = as_map(np.clip(inside + 0.5, 0, 1))
        near.cover(share, _BLACK)
        for channel in ("slope_x", "slope_y"):
            near.channel(channel)[...] *= 1 - share


def _spoil(skin: Skin, plan: Bracket) -> None:
    """Scratch and stain the skin, in place."""
    for scratch in plan.scratches:
        scratch_skin(skin, scratch, _TORN)
    for stain in plan.stains:
        near, thick = film(skin, stain)
        near.cover(thick, _OIL)
