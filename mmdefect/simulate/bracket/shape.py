"""The bracket as solids: the milled body in a few pieces, its steel inserts and pins.

The milled body is cut along its vertical walls into pieces that share their outlines, so that
walls stand upright and edges stay sharp; where two pieces touch they fit vertex on vertex.
"""

from typing import Any

import numpy as np

from mmdefect.simulate.body import Body, Finish, Skin
from mmdefect.simulate.bracket.plan import (
    BORE_RADIUS_MM,
    CORNER_MM,
    FLANGE,
    HEIGHT_MM,
    INSERT_RADIUS_MM,
    POCKET,
    POCKET_CORNER_MM,
    SINK_MM,
    SLOT,
    WIDTH_MM,
    Bracket,
    Spot,
)
from mmdefect.simulate.marks import Place
from mmdefect.simulate.shapes import Distance, circle, plate, rectangle, turned, without

METAL = "bracket"
PITCH_MM = 0.5
STEEL = Finish((0.80, 0.78, 0.75), roughness=0.22, specular=0.70, metal=1.0, emissivity=0.22)
_CHAMFER_MM = 0.4


def placed(shape: Distance, place: Place) -> Distance:
    """Move a shape about the origin to a place."""
    return lambda x, y: shape(x - place.x, y - place.y)


def together(*shapes: Distance) -> Distance:
    """Join shapes into one."""

    def distance(x: Any, y: Any) -> Any:
        found = shapes[0](x, y)
        for shape in shapes[1:]:
            found = np.minimum(found, shape(x, y))
        return found

    return distance


def outline() -> Distance:
    """Give the signed distance to the whole bracket without holes."""
    return rectangle(WIDTH_MM, HEIGHT_MM, CORNER_MM)


def round_shapes(
    spots: tuple[Spot, ...], radius: float | None = None, more: float = 0.0
) -> Distance:
    """Give the signed distance to circles, of their own or another radius."""
    return together(
        *(circle(s.x, s.y, (s.radius if radius is None else radius) + more) for s in spots)
    )


def pocket(plan: Bracket) -> Distance:
    """Give the signed distance to the milled pocket."""
    return placed(rectangle(POCKET[2], POCKET[3], POCKET_CORNER_MM), plan.pocket)


def slot(plan: Bracket) -> Distance:
    """Give the signed distance to the slot."""
    return placed(rectangle(SLOT[2], SLOT[3], SLOT[3] / 2), plan.slot)


def flange(plan: Bracket) -> Distance:
    """Give the signed distance to the upright flange."""
    return placed(rectangle(FLANGE[2], FLANGE[3], 1.0), plan.flange)


def sinks(plan: Bracket) -> Distance:
    """Give the signed distance to the countersinks, holes included."""
    return round_shapes(tuple(s for s in plan.spots if s.sunk), more=SINK_MM)


def level(plan: Bracket) -> Distance:
    """Give the signed distance to the base's top face: all that lies at height 0."""
    raised = (round_shapes(plan.bosses), flange(plan), pocket(plan), sinks(plan))
    open_ = (slot(plan), round_shapes(plan.holes), round_shapes(plan.pins))
    return without(outline(), *raised, *open_)


def _deviation(plan: Bracket, x: Any, y: Any) -> Any:
    """Give how far dents and burrs move the surface, mm."""
    moved = np.zeros(np.shape(x))
    for dent in plan.dents:
        moved = moved - dent.drop(x, y)
    for burr in plan.burrs:
        moved = moved + burr.rise(x, y)
    return moved


def milled(plan: Bracket, skin: Skin) -> list[Body]:
    """Make the milled body: base, pocket's floor, bosses, countersinks, flange."""
    sunk = tuple(s for s in plan.spots if s.sunk)

    def cone(x: Any, y: Any) -> Any:
        away = np.min([spot.away(x, y) - spot.radius for spot in sunk], axis=0)
        return np.minimum(away - SINK_MM, 0.0)

    def bosses_top(x: Any, y: Any) -> Any:
        first, second = plan.bosses
        return np.where(first.away(x, y) < second.away(x, y), first.height, second.height)

    pieces = {
        METAL: (level(plan), lambda x, y: np.zeros(np.shape(x))),
        "pocket": (pocket(plan), lambda x, y: np.full(np.shape(x), -plan.pocket_depth)),
        "bosses": (
            without(round_shapes(plan.bosses), round_shapes(plan.bosses, INSERT_RADIUS_MM)),
            bosses_top,
        ),
        "sinks": (without(sinks(plan), round_shapes(sunk)), cone),
        "flange": (flange(plan), lambda x, y: np.full(np.shape(x), plan.flange_height)),
    }
    bodies = []
    for name, (region, top) in pieces.items():

        def face(x: Any, y: Any, top: Any = top) -> Any:
            return top(x, y) + _deviation(plan, x, y)

        mesh = plate(region, WIDTH_MM, HEIGHT_MM, face, -plan.thickness, PITCH_MM)
        bodies.append(Body(name, *mesh, "aluminium", skin))
    return bodies


def steel(plan: Bracket) -> list[Body]:
    """Make the threaded inserts (blind bushes) and the dowel pins, less those left out."""
    wrong = dict(plan.materials)
    found = []
    for i, boss in enumerate(plan.bosses):
        top, r, bore = boss.height + 0.12, INSERT_RADIUS_MM - 0.02, BORE_RADIUS_MM
        profile = [
            (bore, -plan.thickness + 1.5), (bore, top - 0.5), (bore + 0.5, top),
            (r, top), (r, -plan.thickness),
        ]  # fmt: skip
        found.append((f"insert_{i + 1}", turned(profile), boss))
    for i, pin in enumerate(plan.pins):
        r = pin.radius - 0.02
        profile = [
            (r - _CHAMFER_MM, pin.height), (r, pin.height - _CHAMFER_MM), (r, -plan.thickness),
        ]  # fmt: skip
        found.append((f"pin_{i + 1}", turned(profile), pin))
    return [
        Body(name, *mesh, wrong.get(name, "steel"), STEEL).moved(spot.x, spot.y)
        for name, mesh, spot in found
        if name not in plan.missing
    ]
