"""Defects of assembly: the wrong thing, nothing, or the right thing in the wrong way at a place."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mmdefect.simulate.board.build import build
from mmdefect.simulate.board.families import package
from mmdefect.simulate.board.layout import LOW, OPTIONAL, SITE, SITES, TALL
from mmdefect.simulate.board.plan import BoardPlan, Mounted, Short
from mmdefect.simulate.board.space import (
    either,
    exchanged,
    extent,
    extent_where,
    of_site,
    removed,
    stands_free,
)
from mmdefect.simulate.body import Planted
from mmdefect.simulate.marks import Place

SHIFT_MM = (0.8, 2.0)
TURN_DEG = (10.0, 40.0)
TURNED_SHARE = 0.4
LIFT_MM = (0.3, 1.0)
WARP_MM = (0.8, 1.6)
WARPED_FROM_MM = 0.15
DEAD_SHARE = (0.0, 0.45)
HOT_SHARE = (1.45, 2.2)
HEATED_W = 0.1
_TRIES = 24
_SMALL = ("r0805", "r1206", "c0805", "c1206", "led", "sma")
_PICKED = (*_SMALL, "soic8", "soic16", LOW, TALL)
_WRONG = {
    "r0805": ("c0805", "r1206"),
    "c0805": ("r0805", "c1206"),
    "r1206": ("c1206", "t1206", "r0805"),
    "c1206": ("t1206", "r1206", "c0805"),
}
_CANS = tuple(site.name for site in SITES if site.package == LOW)


def _chosen(rng: np.random.Generator, plan: BoardPlan, packages: Sequence[str] = _SMALL) -> Mounted:
    """Choose a component among those of some packages, large ones more often."""
    found = [m for m in plan.mounted if m.package in packages]
    areas = np.array([np.prod(package(m.package).size[:2]) for m in found])
    return found[int(rng.choice(len(found), p=areas / areas.sum()))]


def missing_component(rng: np.random.Generator, plan: BoardPlan) -> Planted:
    """Take a component away; its pads keep their solder."""
    gone = _chosen(rng, plan, _PICKED)
    length, width, height = package(gone.package).size
    sizes = {"length_mm": length, "width_mm": width, "height_mm": height}
    return Planted(build(removed(plan, gone.site)), extent(of_site(gone.site, gone)), sizes)


def displaced(plan: BoardPlan, right: Mounted, x: float, y: float, turn: float) -> Planted:
    """Move a component by x, y (mm) and turn it (rad)."""
    place = Place(right.place.x + x, right.place.y + y, right.place.turn + turn)
    wrong = replace(right, place=place)
    both = either(of_site(right.site, right), of_site(right.site, wrong))
    sizes = {"shift_mm": float(np.hypot(x, y)), "turn_deg": abs(float(np.rad2deg(turn)))}
    return Planted(build(exchanged(plan, wrong)), extent(both), sizes)


def displaced_component(rng: np.random.Generator, plan: BoardPlan) -> Planted:
    """Move or turn a component, without touching another."""
    for attempt in range(_TRIES):
        right = _chosen(rng, plan)
        way, angle = float(rng.uniform(*SHIFT_MM)), float(rng.uniform(0, 2 * np.pi))
        turn = float(np.deg2rad(rng.uniform(*TURN_DEG))) * float(rng.choice([-1.0, 1.0]))
        turned = rng.random() < TURNED_SHARE
        x, y = (0.0, 0.0) if turned else (way * float(np.cos(angle)), way * float(np.sin(angle)))
        turn = turn if turned else 0.0
        place = Place(right.place.x + x, right.place.y + y, right.place.turn + turn)
        if stands_free(plan, replace(right, place=place)) or attempt == _TRIES - 1:
            break
    return displaced(plan, right, x, y, turn)


def null(rng: np.random.Generator, plan: BoardPlan) -> Planted:
    """Displace a component by nothing."""
    return displaced(plan, _chosen(rng, plan), 0.0, 0.0, 0.0)


def wrong_component(rng: np.random.Generator, plan: BoardPlan) -> Planted:
    """Put another package where a chip belongs."""
    right = _chosen(rng, plan, tuple(_WRONG))
    name = str(rng.choice(_WRONG[right.package]))
    resistor = name.startswith("r")
    wrong = replace(
        right,
        package=name,
        look=name,
        text="000" if resistor else "",
        power=right.power if resistor else 0.0,
    )
    length, width, height = package(name).size
    sizes = {"length_mm": length, "width_mm": width, "height_mm": height}
    both = either(of_site(right.site, right), of_site(right.site, wrong))
    return Planted(build(exchanged(plan, wrong)), extent(both), sizes)


def tilted_component(rng: np.random.Generator, plan: BoardPlan) -> Planted:
    """Lift one end of a component off its pad."""
    right = _chosen(rng, plan)
    lift = float(rng.uniform(*LIFT_MM))
    way = float(rng.choice([-1.0, 1.0]))
    lifted = replace(right, lift=way * lift)
    place = extent(of_site(right.site, right))
    return Planted(build(exchanged(plan, lifted)), place, {"lift_mm": lift})


def warp(rng: np.random.Generator, plan: BoardPlan) -> Planted:
    """Bow the whole board."""
    bow = float(rng.uniform(*WARP_MM))
    warped = replace(plan, bow=bow * float(rng.choice([-1.0, 1.0])))
    moved = extent_where(lambda x, y: abs(warped.bend(x, y) - plan.bend(x, y)) > WARPED_FROM_MM)
    return Planted(build(warped), moved, {"bow_mm": bow})


def dead_component(rng: np.random.Generator, plan: BoardPlan) -> Planted:
    """Let a component give off too little heat, or too much."""
    found = [m for m in plan.mounted if SITE[m.site].power >= HEATED_W and m.site != OPTIONAL]
    right = found[int(rng.integers(len(found)))]
    share = float(rng.uniform(*(DEAD_SHARE if rng.random() < 0.6 else HOT_SHARE)))
    wrong = replace(right, power=share * right.power)
    sizes = {"power_W": wrong.power, "lacking_W": right.power - wrong.power}
    return Planted(build(exchanged(plan, wrong)), extent(of_site(right.site, right)), sizes)


def hot_spot(_rng: np.random.Generator, plan: BoardPlan) -> Planted:
    """Heat the optional resistor's place by a short circuit, though nothing stands there.

    Populated boards are as warm there, and empty ones look as this one does.
    """
    site, usual = SITE[OPTIONAL], plan.optional
    made = package(site.package)
    ends = made.pieces[0].mesh[0].max(axis=0) * 2
    place = Place(site.x, site.y, float(np.deg2rad(site.turn)))
    short = Short(place, float(ends[0]), float(ends[1]), usual.power)
    empty = removed(plan, OPTIONAL)
    full = replace(empty, mounted=(*empty.mounted, usual))
    return Planted(
        build(replace(empty, shorts=(short,))),
        extent(of_site(OPTIONAL)),
        {"power_W": usual.power},
        alike=(build(empty), build(full)),
    )


def wrong_height(rng: np.random.Generator, plan: BoardPlan) -> Planted:
    """Mount the tall maker's capacitor in the low maker's colours.

    From above it looks like the low one; its height and its inside are the tall one's.
    """
    site = _CANS[int(rng.integers(len(_CANS)))]
    right = plan.at(site)
    assert right is not None
    counterfeit = replace(right, package=TALL, look=LOW)
    high, low = (package(name).size[2] for name in (TALL, LOW))
    sizes = {"height_mm": high * right.size[2], "excess_mm": (high - low) * right.size[2]}
    honest = (replace(right, package=name, look=name) for name in (TALL, LOW))
    return Planted(
        build(exchanged(plan, counterfeit)),
        extent(of_site(site, right)),
        sizes,
        alike=tuple(build(exchanged(plan, mounted)) for mounted in honest),
    )
