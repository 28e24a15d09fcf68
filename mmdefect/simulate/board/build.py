"""Building a board from its plan: every number comes from the plan, nothing is drawn here."""

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mmdefect.simulate.board.artwork import PITCH_MM, copper
from mmdefect.simulate.board.families import package
from mmdefect.simulate.board.joints import (
    SEAT_MM,
    all_solder,
    frame_film,
    solder_film,
    void_mesh,
)
from mmdefect.simulate.board.layout import BOARD_MM, CORNER_MM, HOLE_MM, HOLES, THICKNESS_MM
from mmdefect.simulate.board.mesh import merged, seated, shifted
from mmdefect.simulate.board.paint import BLACK, CARRIER, GOLD, SOLDER, TAN, TIN, painted, toned
from mmdefect.simulate.board.plan import BoardPlan, Mounted, Short
from mmdefect.simulate.board.skin import board_skin
from mmdefect.simulate.body import Body, Finish, Layer, Part, Skin
from mmdefect.simulate.fixture import table
from mmdefect.simulate.raster import Map, Raster, as_map
from mmdefect.simulate.shapes import Mesh, box, circle, cylinder, plate, rectangle, without

CLEARANCE_MM = 5.0
COPPER_MM = 0.035
_CELL_MM = 0.75
_SHORT_DEPTH_MM, _SHORT_RISE_MM = 0.1, 0.005
_STANDOFF = Finish((0.05, 0.05, 0.052), roughness=0.5, emissivity=0.94)
_SHARED: dict[str, tuple[str, Finish]] = {
    "ceramics": ("ceramic", TAN),
    "ends": ("copper", TIN),
    "leads": ("copper", TIN),
    "bases": ("abs", BLACK),
    "pins": ("copper", GOLD),
    "carriers": ("fr4", CARRIER),
}
_INNER = {"case": "", "tab": " tab", "core": " core"}


@dataclass
class _Collected:
    """Bodies of single components, and meshes of those that share one."""

    bodies: list[Body] = field(default_factory=list)
    shared: dict[str, list[Mesh]] = field(default_factory=lambda: {role: [] for role in _SHARED})


def build(plan: BoardPlan) -> Part:
    """Build a board.

    Parameters
    ----------
    plan : BoardPlan

    Returns
    -------
    Part
        Powered; its components' cases are bodies by their sites' names, all solder is one body.
    """
    found = _Collected()
    for mounted in plan.mounted:
        _mount(plan, mounted, found)
    shared = [
        _bent(plan, _shared(plan, role, merged(meshes)))
        for role, meshes in found.shared.items()
        if meshes
    ]
    solder = Body("solder", *all_solder(plan), "solder", toned(SOLDER, plan.tone))
    voids = [
        Body(f"void {number}", *void_mesh(plan, void), "air", SOLDER, host="solder")
        for number, void in enumerate(plan.voids)
    ]
    skin = board_skin(plan)
    shorts = [_short(number, short, skin) for number, short in enumerate(plan.shorts)]
    joined = [_bent(plan, body) for body in (solder, *voids, *shorts)]
    powers = {mounted.site: mounted.power for mounted in plan.mounted if mounted.power > 0}
    powers |= {body.name: short.power for body, short in zip(shorts, plan.shorts, strict=True)}
    below = THICKNESS_MM + CLEARANCE_MM
    bodies = [table(plan.standing, below), *_carrier(plan, skin), *found.bodies, *shared, *joined]
    layers = (
        _copper_layer(),
        Layer("solder", 0.0, solder_film(plan)),
        Layer("copper", 1.0, frame_film(plan)),
    )
    return Part(tuple(bodies), plan.standing.pose, layers, (), powers, "powered")


def _shared(plan: BoardPlan, role: str, mesh: Mesh) -> Body:
    """Make the body of all solids that share a role."""
    material, look = _SHARED[role]
    return Body(role, *mesh, material, toned(look, plan.reel) if role == "ceramics" else look)


def _carrier(plan: BoardPlan, skin: Skin) -> list[Body]:
    """Make the bare board and its standoffs."""
    posts = Body("standoffs", *_standoffs(), "abs", _STANDOFF)
    board = Body("board", *_blank(), "fr4", skin)
    return [_bent(plan, posts), _bent(plan, board)]


@lru_cache(maxsize=1)
def _blank() -> Mesh:
    """Make the flat board with its holes."""
    holes = (circle(x, y, HOLE_MM / 2) for x, y in HOLES)
    outline = without(rectangle(*BOARD_MM, CORNER_MM), *holes)
    return plate(outline, *BOARD_MM, 0.0, -THICKNESS_MM, _CELL_MM)


@lru_cache(maxsize=1)
def _standoffs() -> Mesh:
    """Make the posts under the holes, with a pin in each."""
    foot = -THICKNESS_MM - CLEARANCE_MM
    post = cylinder(3.0, foot + 0.3, -THICKNESS_MM - 0.02, 24)
    pin = cylinder(HOLE_MM / 2 - 0.2, -THICKNESS_MM - 0.01, -0.3, 16)
    return merged([shifted(mesh, x, y) for x, y in HOLES for mesh in (post, pin)])


@lru_cache(maxsize=1)
def _copper_layer() -> Layer:
    """Give the top copper as a film."""
    base = Raster.over(*BOARD_MM, PITCH_MM)
    return Layer("copper", 0.0, Raster(base.x, base.y, base.pitch, COPPER_MM * copper()))


def _mount(plan: BoardPlan, mounted: Mounted, found: _Collected) -> None:
    """Put a component's solids where it stands."""
    made = package(mounted.package)
    for piece in made.pieces:
        vertices = _stood(piece.mesh[0], mounted, made.size[0])
        triangles = piece.mesh[1]
        if piece.role in found.shared:
            found.shared[piece.role].append((vertices, triangles))
            continue
        look: Finish | Skin = TIN
        if piece.role == "case":
            paint = package(mounted.look).paint
            look = painted(paint, made.size[:2], mounted.text, mounted.place, mounted.tone)
        name = mounted.site + _INNER[piece.role]
        host = mounted.site if piece.role == "core" else ""
        body = Body(name, vertices, triangles, piece.material, look, host)
        found.bodies.append(_bent(plan, body))


def _stood(vertices: Map, mounted: Mounted, length: float) -> Map:
    """Bring a component's vertices onto the flat board."""
    own = seated(vertices, mounted.size, mounted.lift, length * mounted.size[0], SEAT_MM)
    c, s = np.cos(mounted.place.turn), np.sin(mounted.place.turn)
    turned: NDArray[np.float64] = own @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
    return as_map(turned + np.array([mounted.place.x, mounted.place.y, 0]))


def _bent(plan: BoardPlan, body: Body) -> Body:
    """Let a body follow the bow of the board."""
    vertices = body.vertices.copy()
    vertices[:, 2] += plan.bend(vertices[:, 0], vertices[:, 1])
    return Body(body.name, vertices, body.triangles, body.material, body.look, body.host)


def _short(number: int, short: Short, skin: Skin) -> Body:
    """Make the place of a short circuit in the top copper: laminate that looks as it did."""
    mesh = box(short.width, short.height, -_SHORT_DEPTH_MM, _SHORT_RISE_MM)
    body = Body(f"short {number}", *mesh, "fr4", skin, host="board")
    return body.moved(short.place.x, short.place.y, 0.0, short.place.turn)
