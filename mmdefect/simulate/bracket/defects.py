"""The bracket's defects: each draws its sizes and alters the plan, and the part is built again.

Sizes run from barely visible to clear in the sensor that is good at a kind; the ranges stand on
top, so that the task can be made harder or easier in one place.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from mmdefect.simulate.body import Body, Finish, Kind, Planted
from mmdefect.simulate.bracket.part import build_bracket
from mmdefect.simulate.bracket.plan import (
    HEIGHT_MM,
    INSERT_RADIUS_MM,
    SINK_MM,
    WIDTH_MM,
    Bracket,
    Burr,
    Spot,
)
from mmdefect.simulate.bracket.shape import METAL, level, outline, pocket
from mmdefect.simulate.marks import Place
from mmdefect.simulate.planting import MARGIN_MM, Extent, Ground, between
from mmdefect.simulate.raster import Map, as_map
from mmdefect.simulate.shapes import Mesh, blob

SCRATCH_LENGTH_MM = (8.0, 25.0)
SCRATCH_WIDTH_MM = (0.12, 0.30)
SCRATCH_DEPTH_MM = (0.010, 0.030)
STAIN_MM = (5.0, 12.0)
STAIN_STRENGTH = (0.2, 0.8)
DENT_MM = (4.0, 10.0)
DENT_DEPTH_MM = (0.2, 0.6)
BURR_MM = (0.2, 0.6)
BURR_WIDTH_MM = (0.8, 1.4)
VOID_MM = (1.0, 2.4)
PORES = (8, 30)
PORE_MM = (0.5, 1.1)
CLUSTER_MM = (5.0, 9.0)
SHIFT_MM = (0.6, 2.0)
WRONG_MATERIALS = ("titanium", "aluminium")

_APART_MM = 0.1
_HIDDEN = Finish((0.5, 0.5, 0.5))


def _ground(plan: Bracket) -> Ground:
    """Give the level faces: the base's and the pocket's floor, the optional hole kept free."""
    look = replace(plan, drilled=True)
    base, floor = level(look), pocket(plan)
    return Ground(
        WIDTH_MM, HEIGHT_MM, outline(), lambda x, y: np.maximum(-base(x, y), -floor(x, y))
    )


def _solid(plan: Bracket) -> Ground:
    """Give the base, where it has its full thickness."""
    base = level(replace(plan, drilled=True))
    return Ground(WIDTH_MM, HEIGHT_MM, outline(), lambda x, y: -base(x, y))


def _planted(
    plan: Bracket,
    extent: Extent,
    sizes: dict[str, float],
    shadows: tuple[str, ...] = (),
    alike: tuple[Bracket, ...] = (),
) -> Planted:
    """Build the altered plan and put the extent onto a raster."""
    twins = tuple(map(build_bracket, alike))
    return Planted(build_bracket(plan), _ground(plan).raster(extent), sizes, shadows, twins)


def _scratch(rng: np.random.Generator, plan: Bracket) -> Planted:
    """Scratch the surface: a hairline too shallow for the scanner."""
    scratch = _ground(plan).scratch(rng, SCRATCH_LENGTH_MM, SCRATCH_WIDTH_MM, SCRATCH_DEPTH_MM)
    return _planted(replace(plan, scratches=(scratch,)), scratch.extent, scratch.sizes)


def _stain(rng: np.random.Generator, plan: Bracket) -> Planted:
    """Let cutting oil dry on the surface."""
    stain = _ground(plan).stain(rng, STAIN_MM, STAIN_STRENGTH)
    return _planted(replace(plan, stains=(stain,)), stain.extent, stain.sizes)


def _dented(rng: np.random.Generator, plan: Bracket, scale: float) -> Planted:
    """Press a smooth bowl into a face, so many times as deep as drawn."""
    dent = _ground(plan).dent(rng, DENT_MM, DENT_DEPTH_MM, scale)
    return _planted(replace(plan, dents=(dent,)), dent.extent, dent.sizes)


def _dent(rng: np.random.Generator, plan: Bracket) -> Planted:
    """Press a smooth bowl into a face."""
    return _dented(rng, plan, 1.0)


def _null(rng: np.random.Generator, plan: Bracket) -> Planted:
    """Plant a dent of no depth, through the same code."""
    return _dented(rng, plan, 0.0)


def _burr(rng: np.random.Generator, plan: Bracket) -> Planted:
    """Leave a raised rim at a hole's edge."""
    holes = [spot for spot in plan.holes if not spot.sunk]
    hole = holes[int(rng.integers(len(holes)))]
    burr = Burr(
        hole.x,
        hole.y,
        hole.radius,
        between(rng, BURR_MM),
        between(rng, BURR_WIDTH_MM),
        float(rng.uniform(0, 2 * np.pi)),
        float(rng.uniform(1.2, np.pi)),
    )

    def extent(x: Map, y: Map) -> Any:
        return (hole.away(x, y) > hole.radius) & (burr.rise(x, y) > 0.05 * burr.height)

    sizes = {"height_mm": burr.height, "width_mm": burr.width}
    return _planted(replace(plan, burrs=(burr,)), extent, sizes)


def _hollow(name: str, meshes: list[Mesh]) -> Body:
    """Join closed meshes that do not touch to one hollow of the base."""
    starts = np.cumsum([0, *(len(vertices) for vertices, _ in meshes)])
    vertices = np.concatenate([vertices for vertices, _ in meshes])
    triangles = np.concatenate(
        [faces + np.uint32(start) for (_, faces), start in zip(meshes, starts, strict=False)]
    )
    return Body(name, vertices, triangles, "air", _HIDDEN, host=METAL)


def _void(rng: np.random.Generator, plan: Bracket) -> Planted:
    """Leave a hollow inside the metal."""
    wide = between(rng, VOID_MM)
    long, tall = wide * between(rng, (0.7, 1.0)), wide * between(rng, (0.6, 1.0))
    x, y = _solid(plan).place(rng, wide / 2 + MARGIN_MM)
    room = tall / 2 + MARGIN_MM
    height, turn = between(rng, (-plan.thickness + room, -room)), between(rng, (0.0, np.pi))
    hollow = _hollow("void", [blob(wide, long, tall)]).moved(x, y, height, turn)
    place = Place(x, y, turn)

    def extent(u: Map, v: Map) -> Any:
        along, across = place.local(u, v)
        return np.hypot(along / wide, across / long) < 0.5

    sizes = {"width_mm": wide, "height_mm": tall, "depth_mm": -height}
    return _planted(replace(plan, flaws=(hollow,)), extent, sizes, ("void",))


def _draw_pores(rng: np.random.Generator, count: int, size: Any) -> list[tuple[Any, float]]:
    """Draw pores (x, y, height; diameter; mm) that do not touch, within a cluster's half axes."""
    tries = 12 * count
    places = rng.normal(0, 0.45, (tries, 3))
    kept: list[tuple[Any, float]] = []
    for place, drawn in zip(places, rng.uniform(*PORE_MM, tries), strict=True):
        diameter, at = float(drawn), place * size
        apart = all(np.linalg.norm(at - p) > (diameter + d) / 2 + _APART_MM for p, d in kept)
        if apart and np.all(np.abs(at) < size - diameter / 2) and len(kept) < count:
            kept.append((at, diameter))
    return kept


def _porosity(rng: np.random.Generator, plan: Bracket) -> Planted:
    """Leave a cluster of small pores inside the metal."""
    count, across = int(rng.integers(PORES[0], PORES[1] + 1)), between(rng, CLUSTER_MM)
    x, y = _solid(plan).place(rng, across / np.sqrt(2) + MARGIN_MM)
    size = np.array([across / 2, across / 2, plan.thickness / 2 - MARGIN_MM])
    pores = _draw_pores(rng, count, size)
    middle = np.array([x, y, -plan.thickness / 2])
    meshes = []
    for at, diameter in pores:
        vertices, triangles = blob(diameter, diameter, diameter, 8, 12)
        meshes.append((as_map(vertices + at + middle), triangles))

    def extent(u: Map, v: Map) -> Any:
        found = np.zeros(np.broadcast_shapes(u.shape, v.shape), np.bool_)
        for at, diameter in pores:
            found |= np.hypot(u - x - at[0], v - y - at[1]) < diameter / 2 + _APART_MM
        return found

    mean = float(np.mean([diameter for _, diameter in pores]))
    sizes = {"pores": float(len(pores)), "diameter_mm": across, "pore_mm": mean}
    hollow = _hollow("pores", meshes)
    return _planted(replace(plan, flaws=(hollow,)), extent, sizes, ("pores",))


def _missing_insert(rng: np.random.Generator, plan: Bracket) -> Planted:
    """Leave a threaded insert out of its hole."""
    chosen = int(rng.integers(len(plan.bosses)))
    boss = plan.bosses[chosen]
    return _planted(
        replace(plan, missing=(f"insert_{chosen + 1}",)),
        lambda x, y: boss.away(x, y) < INSERT_RADIUS_MM,
        {"diameter_mm": 2 * INSERT_RADIUS_MM},
    )


def _wrong_insert(rng: np.random.Generator, plan: Bracket) -> Planted:
    """Press in an insert or a pin of the right size and look, and of another metal."""
    names = [f"insert_{i + 1}" for i in range(len(plan.bosses))]
    names += [f"pin_{i + 1}" for i in range(len(plan.pins))]
    spots = (*plan.bosses, *plan.pins)
    radii = [INSERT_RADIUS_MM] * len(plan.bosses) + [pin.radius for pin in plan.pins]
    chosen = int(rng.integers(len(names)))
    material = str(rng.choice(WRONG_MATERIALS))
    return _planted(
        replace(plan, materials=((names[chosen], material),)),
        lambda x, y: spots[chosen].away(x, y) < radii[chosen],
        {"diameter_mm": 2 * radii[chosen]},
    )


def _displaced_hole(rng: np.random.Generator, plan: Bracket) -> Planted:
    """Drill a corner hole beside its place."""
    chosen = int(rng.integers(len(plan.spots)))
    right = plan.spots[chosen]
    shift = between(rng, SHIFT_MM)
    inwards = np.arctan2(-right.y, -right.x) + rng.uniform(-1.2, 1.2)
    wrong = replace(
        right,
        x=float(right.x + shift * np.cos(inwards)),
        y=float(right.y + shift * np.sin(inwards)),
    )
    spots = (*plan.spots[:chosen], wrong, *plan.spots[chosen + 1 :])

    def extent(x: Map, y: Map) -> Any:
        return np.minimum(right.away(x, y), wrong.away(x, y)) < _reach(right)

    return _planted(replace(plan, spots=spots), extent, {"shift_mm": shift})


def _reach(spot: Spot) -> float:
    """Give how far a hole and its edge reach from its axis, mm."""
    return spot.radius + (SINK_MM if spot.sunk else 0.5)


def _printed_dot(rng: np.random.Generator, plan: Bracket) -> Planted:
    """Print the look of the optional hole onto solid metal.

    Colour alone sees a drilled bracket, height and X-rays alone a blank one: both are good.
    """
    spot = plan.option
    return _planted(
        replace(plan, drilled=False, printed=True),
        lambda x, y: spot.away(x, y) < spot.radius,
        {"diameter_mm": 2 * spot.radius},
        alike=tuple(replace(plan, drilled=drilled) for drilled in (True, False)),
    )


KINDS = {
    "burr": Kind("geometric", _burr),
    "dent": Kind("geometric", _dent, share=2),
    "displaced_hole": Kind("structural", _displaced_hole),
    "missing_insert": Kind("structural", _missing_insert),
    "null": Kind("null", _null),
    "porosity": Kind("internal", _porosity, share=3),
    "printed_dot": Kind("inconsistent", _printed_dot),
    "scratch": Kind("surface", _scratch),
    "stain": Kind("surface", _stain),
    "void": Kind("internal", _void, share=3),
    "wrong_insert": Kind("structural", _wrong_insert),
}
