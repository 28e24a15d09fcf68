"""Defects of printing and soldering: what lies on the board, between leads, and below packages."""

from dataclasses import replace

import numpy as np
from scipy import ndimage

from mmdefect.simulate.board.artwork import PITCH_MM, Legend
from mmdefect.simulate.board.build import build
from mmdefect.simulate.board.families import package
from mmdefect.simulate.board.joints import nominal, on_board, terminals
from mmdefect.simulate.board.layout import BOARD_MM, SITE
from mmdefect.simulate.board.packages import Balls
from mmdefect.simulate.board.plan import (
    BoardPlan,
    Bridge,
    Mounted,
    Print,
    Smear,
    Void,
    draw_stain,
)
from mmdefect.simulate.board.skin import ink_difference
from mmdefect.simulate.board.space import around, either, extent, extent_where, free_place
from mmdefect.simulate.body import Planted
from mmdefect.simulate.marks import Place
from mmdefect.simulate.raster import Map, Raster, as_map
from mmdefect.simulate.shapes import Distance, circle, without

MISSING_LEGENDS = (1, 4)
MOVED_MM = (0.8, 2.0)
SMEAR_REACH_MM, SMEAR_WAY_MM = (3.0, 6.0), (1.0, 2.8)
RESIDUE_MM, RESIDUE_STRENGTH = (3.0, 9.0), (0.15, 0.8)
BRIDGE_MM = (0.3, 0.75)
UNSOLDERED_BALLS = (1, 4)
BALL_VOIDS, BALL_VOID_MM = (2, 7), (0.36, 0.6)
BALL_VOID_OFF_MM, BALL_VOID_SHARE = 0.04, 0.78
TAB_VOID_MM = (1.6, 4.2)
TAB_SHARE = 0.4
_LETTERS = "CDJLRQTUX"
_BRIDGED = ("U1", "U2", "U4")
_GRID, _REGULATOR = "U3", "VR1"
_PRINT_REACH_MM = 0.4


def misprint(rng: np.random.Generator, plan: BoardPlan) -> Planted:
    """Spoil the silkscreen: texts missing, wrong, moved, or smeared while wet."""
    good = plan.silkscreen
    way = int(rng.integers(4))
    legends = good.legends
    chosen = legends[int(rng.integers(len(legends)))]
    spoil = (_without, _rewritten, _moved, _smeared)[way]
    spoiled = spoil(rng, good, chosen)
    changed = ink_difference(good, spoiled)
    reach = ndimage.distance_transform_edt(~changed) * PITCH_MM < _PRINT_REACH_MM
    grid = Raster.over(*BOARD_MM, PITCH_MM)
    marks = Raster(grid.x, grid.y, grid.pitch, as_map(reach))
    found = extent_where(lambda x, y: _looked_up(marks, x, y) > 0.5)
    sizes = {"area_mm2": float(changed.sum()) * PITCH_MM**2}
    return Planted(build(replace(plan, silkscreen=spoiled)), found, sizes)


def _looked_up(raster: Raster, x: Map, y: Map) -> Map:
    """Look a raster up on a grid of x (1, columns) and y (rows, 1)."""
    u, v = np.broadcast_arrays(x, y)
    return raster.at(u.ravel(), v.ravel()).reshape(u.shape)


def _exchanged(good: Print, *new: Legend) -> Print:
    """Replace legends by others of the same sites."""
    by_site = {legend.site: legend for legend in new}
    return replace(good, legends=tuple(by_site.get(old.site, old) for old in good.legends))


def _without(rng: np.random.Generator, good: Print, chosen: Legend) -> Print:
    """Leave the texts and outlines of a few neighbours out."""
    count = int(rng.integers(*MISSING_LEGENDS))
    near = sorted(good.legends, key=lambda to: np.hypot(to.x - chosen.x, to.y - chosen.y))
    return _exchanged(good, *(replace(old, text="", outline=False) for old in near[:count]))


def _rewritten(rng: np.random.Generator, good: Print, chosen: Legend) -> Print:
    """Print another reference."""
    letter = str(rng.choice([a for a in _LETTERS if a != chosen.text[:1]]))
    return _exchanged(good, replace(chosen, text=f"{letter}{int(rng.integers(40, 99))}"))


def _moved(rng: np.random.Generator, good: Print, chosen: Legend) -> Print:
    """Print a text beside its place."""
    way, angle = rng.uniform(*MOVED_MM), rng.uniform(0, 2 * np.pi)
    x, y = chosen.x + float(way * np.cos(angle)), chosen.y + float(way * np.sin(angle))
    return _exchanged(good, replace(chosen, x=x, y=y))


def _smeared(rng: np.random.Generator, good: Print, chosen: Legend) -> Print:
    """Drag wet ink along."""
    reach, way, turn = (
        float(rng.uniform(*limits)) for limits in (SMEAR_REACH_MM, SMEAR_WAY_MM, (0, 2 * np.pi))
    )
    return replace(good, smear=Smear(Place(chosen.x, chosen.y, turn), reach, way))


def contamination(rng: np.random.Generator, plan: BoardPlan) -> Planted:
    """Leave a patch of dried residue on the board."""
    diameter, strength = float(rng.uniform(*RESIDUE_MM)), float(rng.uniform(*RESIDUE_STRENGTH))
    stain = draw_stain(rng, *free_place(rng, plan, diameter / 2), diameter, strength)
    dirty = replace(plan, residue=(stain,))
    cases = (around(m.place, package(m.package).size[:2], 0.0) for m in plan.mounted)
    found = extent(without(lambda x, y: -stain.inside(x, y), *cases))
    return Planted(build(dirty), found, {"diameter_mm": diameter, "strength": strength})


def solder_bridge(rng: np.random.Generator, plan: BoardPlan) -> Planted:
    """Join two neighbouring leads with solder."""
    site = _BRIDGED[int(rng.integers(len(_BRIDGED)))]
    ends = terminals(package(SITE[site].package), nominal(site))
    beside = np.flatnonzero(np.abs(np.diff(ends.turn)) < 0.1)
    first = int(beside[int(rng.integers(len(beside)))])
    thick = float(rng.uniform(*BRIDGE_MM))
    gap = float(np.hypot(np.diff(ends.x)[first], np.diff(ends.y)[first]))
    x, y = ((one[first] + one[first + 1]) / 2 for one in (ends.x, ends.y))
    place = Place(float(x), float(y), float(ends.turn[first]))
    bridged = replace(plan, bridges=(Bridge(site, first, thick),))
    found = extent(around(place, (gap + 0.4, thick + 0.3)))
    return Planted(build(bridged), found, {"thickness_mm": thick, "gap_mm": gap})


def _grid(plan: BoardPlan) -> tuple[Mounted, Balls]:
    """Find the ball-grid array and its balls."""
    mounted = plan.at(_GRID)
    assert mounted is not None
    balls = package(mounted.package).balls
    assert balls is not None
    return mounted, balls


def _neighbours(rng: np.random.Generator, balls: Balls, count: int) -> list[int]:
    """Choose some balls that lie together."""
    centre = balls.places[int(rng.integers(len(balls.places)))]
    away = np.hypot(*(balls.places - centre).T)
    return [int(number) for number in np.argsort(away, kind="stable")[:count]]


def _at_balls(mounted: Mounted, balls: Balls, chosen: list[int]) -> Distance:
    """Give the signed distance to some balls."""
    x, y = on_board(mounted.place, balls.places[chosen])
    radius = balls.diameter / 2 + 0.1
    places = zip(x.tolist(), y.tolist(), strict=True)
    return either(*(circle(*place, radius) for place in places))


def _below_tab(plan: BoardPlan) -> tuple[Mounted, Distance]:
    """Give the regulator, and the signed distance to the solder below its tab."""
    mounted = plan.at(_REGULATOR)
    assert mounted is not None
    film = next(f for f in package(mounted.package).films if f.material == "solder")
    x, y = on_board(mounted.place, [[film.x, film.y]])
    place = Place(float(x[0]), float(y[0]), mounted.place.turn)
    return mounted, around(place, (film.width, film.height), 0.0)


def no_solder(rng: np.random.Generator, plan: BoardPlan) -> Planted:
    """Leave balls of the grid array out, or all solder below the regulator's tab."""
    if rng.random() < TAB_SHARE / 2:
        mounted, below = _below_tab(plan)
        bare = replace(plan, bare_films=frozenset({mounted.site}))
        found = extent(below)
        return Planted(build(bare), found, {"area_mm2": float(found.values.sum()) * found.pitch**2})
    grid, balls = _grid(plan)
    chosen = _neighbours(rng, balls, int(rng.integers(*UNSOLDERED_BALLS)))
    bare = replace(plan, unsoldered=frozenset((grid.site, number) for number in chosen))
    found = extent(_at_balls(grid, balls, chosen))
    return Planted(build(bare), found, {"area_mm2": float(found.values.sum()) * found.pitch**2})


def solder_void(rng: np.random.Generator, plan: BoardPlan) -> Planted:
    """Enclose gas in balls of the grid array, or below the regulator's tab."""
    if rng.random() < TAB_SHARE:
        return _tab_void(rng, plan)
    grid, balls = _grid(plan)
    chosen = _neighbours(rng, balls, int(rng.integers(*BALL_VOIDS)))
    amount = float(plan.solder[grid.site][chosen].min())
    limit = BALL_VOID_SHARE * balls.diameter * float(np.sqrt(amount))
    diameter = min(float(rng.uniform(*BALL_VOID_MM)), limit)
    off = rng.uniform(-BALL_VOID_OFF_MM, BALL_VOID_OFF_MM, (len(chosen), 2)).tolist()
    voids = tuple(
        Void(grid.site, number, x, y, diameter) for number, (x, y) in zip(chosen, off, strict=True)
    )
    names = tuple(f"void {number}" for number in range(len(voids)))
    found = extent(_at_balls(grid, balls, chosen))
    sizes = {"diameter_mm": diameter}
    return Planted(build(replace(plan, voids=voids)), found, sizes, names)


def _tab_void(rng: np.random.Generator, plan: BoardPlan) -> Planted:
    """Enclose gas below the regulator's tab."""
    mounted, _ = _below_tab(plan)
    diameter = float(rng.uniform(*TAB_VOID_MM))
    x, y = float(rng.uniform(-2.8, 2.8)), float(rng.uniform(-3.6, 0.9))
    voids = np.vstack([plan.film_voids, [[x, y, diameter]]])
    across, down = on_board(mounted.place, [[x, y]])
    found = extent(circle(float(across[0]), float(down[0]), diameter / 2))
    part = build(replace(plan, film_voids=as_map(voids)))
    return Planted(part, found, {"diameter_mm": diameter})
