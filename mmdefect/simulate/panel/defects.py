"""The panel's defects: each draws its sizes and alters the plan, and the part is built again.

Sizes run from barely visible to clear in the sensor that is good at a kind; the ranges stand on
top, so that the task can be made harder or easier in one place.
"""

from dataclasses import replace
from math import cos, sin
from typing import Any

import numpy as np

from mmdefect.simulate.body import Body, Delamination, Finish, Kind, Planted
from mmdefect.simulate.marks import Place
from mmdefect.simulate.panel.part import build_panel
from mmdefect.simulate.panel.plan import (
    HEAD_MM,
    HEIGHT_MM,
    HOLE_RADIUS_MM,
    LABEL_MM,
    WIDTH_MM,
    Bow,
    Panel,
)
from mmdefect.simulate.panel.shape import LAMINATE, outline, pad
from mmdefect.simulate.planting import MARGIN_MM, Extent, Ground, between
from mmdefect.simulate.raster import Map
from mmdefect.simulate.shapes import cylinder, prism, rectangle

STAIN_MM = (5.0, 13.0)
STAIN_STRENGTH = (0.2, 1.0)
SCRATCH_LENGTH_MM = (8.0, 25.0)
SCRATCH_WIDTH_MM = (0.08, 0.24)
SCRATCH_DEPTH_MM = (0.010, 0.030)
IMPACT_MM = (6.0, 13.0)
IMPACT_DEPTH_MM = (0.15, 0.5)
IMPACT_PARTED = (0.7, 1.2)
IMPACT_PLY_MM = (0.5, 1.4)
WARP_MM = (0.5, 1.2)
WARP_SHOWS_MM = 0.15
DELAMINATION_MM = (4.0, 14.0)
DELAMINATION_DEPTH_MM = (0.5, 1.5)
GAP_MM = (0.020, 0.100)
INCLUSION_MM = (5.0, 12.0)
INCLUSION_THICKNESS_MM = (0.04, 0.15)
INCLUSION_DEPTH_MM = (0.5, 1.3)
INCLUSION_GAP_MM = (0.020, 0.060)
INCLUSION_MATERIALS = ("copper", "steel", "titanium")
LABEL_SHIFT_MM = (1.2, 5.0)
LABEL_TURN_DEG = 6.0
WRONG_MATERIAL = "steel"

_HIDDEN = Finish((0.5, 0.5, 0.5))


def room(plan: Panel, x: Any, y: Any) -> Any:
    """Give the distance from a place on bare laminate to whatever is next, mm."""
    u, v = plan.label.local(x, y)
    found = np.minimum(-outline()(x, y), rectangle(*LABEL_MM)(u, v))
    for which in (plan.pad, plan.pad_look):
        found = np.minimum(found, pad(plan.pad_place(which))(x, y))
    for places, radius in ((plan.fasteners, HEAD_MM), (plan.holes, HOLE_RADIUS_MM)):
        for place in places:
            found = np.minimum(found, np.hypot(x - place.x, y - place.y) - radius)
    return found


def _ground(plan: Panel) -> Ground:
    """Give the bare laminate."""
    return Ground(WIDTH_MM, HEIGHT_MM, outline(), lambda x, y: room(plan, x, y))


def _planted(
    plan: Panel,
    extent: Extent,
    sizes: dict[str, float],
    shadows: tuple[str, ...] = (),
    alike: tuple[Panel, ...] = (),
) -> Planted:
    """Build the altered plan and put the extent onto a raster."""
    twins = tuple(map(build_panel, alike))
    return Planted(build_panel(plan), _ground(plan).raster(extent), sizes, shadows, twins)


def _stain(rng: np.random.Generator, plan: Panel) -> Planted:
    """Let residue dry on the resin: a haze, thicker at its uneven rim, that dulls the fibres."""
    stain = _ground(plan).stain(rng, STAIN_MM, STAIN_STRENGTH)
    return _planted(replace(plan, stains=(stain,)), stain.extent, stain.sizes)


def _scratch(rng: np.random.Generator, plan: Panel) -> Planted:
    """Scratch the resin: a whitened hairline, slightly curved, too shallow for the scanner."""
    scratch = _ground(plan).scratch(rng, SCRATCH_LENGTH_MM, SCRATCH_WIDTH_MM, SCRATCH_DEPTH_MM)
    return _planted(replace(plan, scratches=(scratch,)), scratch.extent, scratch.sizes)


def _struck(rng: np.random.Generator, plan: Panel, scale: float) -> Planted:
    """Strike the laminate, so many times as hard as drawn: a shallow bowl, plies parted below."""
    dent = _ground(plan).dent(rng, IMPACT_MM, IMPACT_DEPTH_MM, scale)
    parted, depth = between(rng, IMPACT_PARTED), between(rng, IMPACT_PLY_MM)
    gap = between(rng, GAP_MM)
    below = Delamination(LAMINATE, dent.place.x, dent.place.y, parted * dent.diameter, depth, gap)
    return _planted(
        replace(plan, dents=(dent,), delaminations=(below,) if scale else ()),
        dent.extent,
        {**dent.sizes, "parted_mm": scale * parted * dent.diameter, "ply_mm": depth},
    )


def _impact(rng: np.random.Generator, plan: Panel) -> Planted:
    """Strike the laminate: barely to be seen from above, parted below."""
    return _struck(rng, plan, 1.0)


def _null(rng: np.random.Generator, plan: Panel) -> Planted:
    """Strike it with no force, through the same code."""
    return _struck(rng, plan, 0.0)


def _warp(rng: np.random.Generator, plan: Panel) -> Planted:
    """Twist or bow the whole panel, as uneven curing does."""
    amount = between(rng, WARP_MM)
    share = float(rng.uniform(0.4, 1.0))
    signs = rng.choice([-1.0, 1.0], 2)
    twist, bow = amount * share * float(signs[0]), amount * (1 - share) * float(signs[1])
    warp = Bow(bow, 0.0, twist) if rng.random() < 0.5 else Bow(0.0, bow, twist)
    return _planted(
        replace(plan, warps=(warp,)),
        lambda x, y: np.abs(warp.rise(x, y)) > WARP_SHOWS_MM,
        {"amplitude_mm": amount, "twist_mm": abs(twist), "bow_mm": abs(bow)},
    )


def _delamination(rng: np.random.Generator, plan: Panel) -> Planted:
    """Part two plies: a thin gap that only heat feels."""
    diameter, depth = between(rng, DELAMINATION_MM), between(rng, DELAMINATION_DEPTH_MM)
    gap = float(np.exp(rng.uniform(*np.log(GAP_MM))))
    x, y = _ground(plan).place(rng, diameter / 2 + MARGIN_MM)
    height = float(plan.surface(x, y)) - depth
    air = Body("gap", *cylinder(diameter / 2, -gap, 0.0), "air", _HIDDEN, host=LAMINATE)
    hidden = Delamination(LAMINATE, x, y, diameter, depth, gap)
    return _planted(
        replace(plan, delaminations=(hidden,), flaws=(air.moved(x, y, height),)),
        lambda u, v: np.hypot(u - x, v - y) < diameter / 2,
        {"diameter_mm": diameter, "depth_mm": depth, "gap_mm": gap},
        ("gap",),
    )


def _inclusion(rng: np.random.Generator, plan: Panel) -> Planted:
    """Leave a scrap of metal foil between two plies, which do not bond to it."""
    across, thick = between(rng, INCLUSION_MM), between(rng, INCLUSION_THICKNESS_MM)
    depth = between(rng, INCLUSION_DEPTH_MM)
    material = str(rng.choice(INCLUSION_MATERIALS))
    x, y = _ground(plan).place(rng, across / 2 + MARGIN_MM)
    angles = np.sort(np.arange(6) * np.pi / 3 + rng.uniform(-0.4, 0.4, 6))
    slim, gap = between(rng, (0.5, 1.0)), between(rng, INCLUSION_GAP_MM)
    corners = [(across / 2 * cos(a), slim * across / 2 * sin(a)) for a in angles]
    turn = float(rng.uniform(0, np.pi))
    scrap = Body("scrap", *prism(corners, -thick, 0.0), material, _HIDDEN, host=LAMINATE)
    scrap = scrap.moved(x, y, float(plan.surface(x, y)) - depth, turn)
    place = Place(x, y, turn)

    def extent(u: Map, v: Map) -> Any:
        along, aside = place.local(u, v)
        return np.hypot(along, aside / slim) < across / 2

    return _planted(
        replace(
            plan,
            flaws=(scrap,),
            delaminations=(
                Delamination(LAMINATE, x, y, across * float(np.sqrt(slim)), depth, gap),
            ),
        ),
        extent,
        {"width_mm": across, "thickness_mm": thick, "depth_mm": depth},
        ("scrap",),
    )


def _chosen_fastener(rng: np.random.Generator, plan: Panel) -> tuple[str, Extent]:
    """Choose a fastener; give its name and extent."""
    chosen = int(rng.integers(len(plan.fasteners)))
    place = plan.fasteners[chosen]
    return f"fastener_{chosen + 1}", lambda x, y: np.hypot(x - place.x, y - place.y) < HEAD_MM


def _missing_fastener(rng: np.random.Generator, plan: Panel) -> Planted:
    """Leave a fastener out of its hole."""
    name, extent = _chosen_fastener(rng, plan)
    return _planted(replace(plan, missing=(name,)), extent, {"diameter_mm": 2 * HEAD_MM})


def _wrong_fastener(rng: np.random.Generator, plan: Panel) -> Planted:
    """Fit a fastener of the right size and look that is made of steel."""
    name, extent = _chosen_fastener(rng, plan)
    wrong = replace(plan, materials=((name, WRONG_MATERIAL),))
    return _planted(wrong, extent, {"diameter_mm": 2 * HEAD_MM})


def _misplaced_label(rng: np.random.Generator, plan: Panel) -> Planted:
    """Stick the label beside its place; the extent is where it is and where it should be."""
    away, angle = between(rng, LABEL_SHIFT_MM), between(rng, (0.0, 2 * np.pi))
    turn = float(np.deg2rad(rng.uniform(-LABEL_TURN_DEG, LABEL_TURN_DEG)))
    right = plan.label
    wrong = Place(right.x + away * cos(angle), right.y + away * sin(angle), right.turn + turn)

    def extent(x: Map, y: Map) -> Any:
        shape = rectangle(*LABEL_MM)
        return (shape(*right.local(x, y)) < 0) | (shape(*wrong.local(x, y)) < 0)

    sizes = {"shift_mm": away, "turn_deg": float(np.rad2deg(turn))}
    return _planted(replace(plan, label=wrong), extent, sizes)


def _printed_pad(rng: np.random.Generator, plan: Panel) -> Planted:
    """Show the pad at one place and bond it, under cloth like the panel's, at the other.

    Colour alone sees a good panel of one sort, height and X-rays one of the other.
    """
    printed = replace(plan, pad_look=1 - plan.pad)

    def extent(x: Map, y: Map) -> Any:
        places = (pad(plan.pad_place(which))(x, y) for which in (0, 1))
        return np.minimum(*places) < 0

    alike = tuple(replace(plan, pad=place, pad_look=place) for place in (0, 1))
    return _planted(printed, extent, {"height_mm": plan.pad_height}, alike=alike)


KINDS = {
    "delamination": Kind("subsurface", _delamination, share=3),
    "impact": Kind("geometric", _impact, share=3),
    "inclusion": Kind("internal", _inclusion, share=3),
    "misplaced_label": Kind("structural", _misplaced_label),
    "missing_fastener": Kind("structural", _missing_fastener),
    "null": Kind("null", _null),
    "printed_pad": Kind("inconsistent", _printed_pad),
    "scratch": Kind("surface", _scratch),
    "stain": Kind("surface", _stain),
    "warp": Kind("geometric", _warp),
    "wrong_fastener": Kind("structural", _wrong_fastener),
}
