"""Solder: fillets at leads, balls, drops on open pads, bridges, voids, and films below tabs.

A joint forms where its terminal lies on its pad. A terminal that is too far away leaves a drop of
solder on the pad, which is what one finds below missing, displaced and lifted components.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdefect.simulate.board.families import package
from mmdefect.simulate.board.layout import BOARD_MM, OPTIONAL, SITE, SITES
from mmdefect.simulate.board.mesh import ball, dome, fillet, merged, scattered
from mmdefect.simulate.board.packages import Film, Joints, Package
from mmdefect.simulate.board.plan import BoardPlan, Bridge, Mounted, Void
from mmdefect.simulate.board.routes import all_pads
from mmdefect.simulate.marks import Place
from mmdefect.simulate.raster import Map, Raster, as_map
from mmdefect.simulate.shapes import Mesh

OPEN_MM = 0.5
LIFTED_MM = 0.25
DROP_MM = 0.22
SEAT_MM = 0.03
TINNING_MM = 0.035
BRIDGE_RISE_MM = 0.35
VOID_SHARE = 0.84
FILM_PITCH_MM = 0.2


@dataclass(frozen=True)
class Terminals:
    """Where a component's terminals are: (n,) x, y (mm), turn (rad), height above their pads."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    turn: NDArray[np.float64]
    height: NDArray[np.float64]


def on_board(place: Place, local: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bring (n, 2+) x and y of a component's own coordinates onto the board, mm."""
    local = np.asarray(local, np.float64)
    c, s = np.cos(place.turn), np.sin(place.turn)
    x, y = local[:, 0], local[:, 1]
    return place.x + c * x - s * y, place.y + s * x + c * y


def nominal(name: str) -> Place:
    """Give a site's place as drawn."""
    site = SITE[name]
    return Place(site.x, site.y, float(np.deg2rad(site.turn)))


def _joint_places(made: Package) -> Map:
    """Give all joints but balls (joint, 3) in a package's own coordinates."""
    return np.concatenate([group.places for group in made.joints])


def terminals(made: Package, place: Place, size: Any = (1, 1, 1), lift: float = 0.0) -> Terminals:
    """Find a package's terminals when it stands at a place."""
    own = _joint_places(made).astype(np.float64) * np.array([size[0], size[1], 1.0])
    x, y = on_board(place, own)
    rise = abs(lift) * np.clip(np.sign(lift) * own[:, 0] / made.size[0] + 0.5, 0, 1)
    return Terminals(x, y, own[:, 2] + place.turn, rise)


def site_solder(plan: BoardPlan, name: str, mounted: Mounted | None) -> list[Mesh]:
    """Make the joints of one site.

    Parameters
    ----------
    plan : BoardPlan
    name : str
        Of the site.
    mounted : Mounted or None
        What stands there.

    Returns
    -------
    list of Mesh
    """
    made = package(mounted.package if mounted else SITE[name].package)
    if mounted is None and name == OPTIONAL:
        return []
    meshes = []
    if made.joints:
        meshes += _fillets(plan, name, made, mounted)
    if made.balls is not None and mounted is not None:
        meshes.append(_ball_mesh(plan, made, mounted))
    return meshes


def _fillets(plan: BoardPlan, name: str, made: Package, mounted: Mounted | None) -> list[Mesh]:
    """Make fillets at terminals on their pads, and drops on pads without one."""
    pads = terminals(package(SITE[name].package), nominal(name))
    ends = terminals(made, mounted.place, mounted.size, mounted.lift) if mounted else pads
    away = np.hypot(ends.x - pads.x, ends.y - pads.y)
    left_open = (away > OPEN_MM) | (ends.height > LIFTED_MM) | (mounted is None)
    amount = np.sqrt(plan.solder[name][: len(pads.x)].astype(np.float64))
    wet = np.array([(name, i) not in plan.unsoldered for i in range(len(pads.x))])
    meshes, first = [], 0
    for group in made.joints:
        these = np.arange(first, first + len(group.places))
        first += len(group.places)
        closed, drops = these[~left_open[these] & wet[these]], these[left_open[these]]
        if closed.size:
            meshes.append(_wetted(group, ends, closed, amount[closed]))
        if drops.size:
            meshes.append(_drops(group, pads, drops, amount[drops]))
    return meshes


def _wetted(group: Joints, ends: Terminals, these: Any, amount: Any) -> Mesh:
    """Make the fillets at some terminals."""
    width, length, height = group.fillet
    scale = np.stack([np.full(len(these), width), length * amount, height * amount], -1)
    places = np.stack([ends.x, ends.y, 0 * ends.x], -1)[these]
    return scattered(fillet(), scale, places, ends.turn[these])


def _drops(group: Joints, pads: Terminals, these: Any, amount: Any) -> Mesh:
    """Make the solder left on some pads."""
    wide, inner, outer = group.pad
    flat = np.full((len(these), 2), [0.95 * wide, inner + outer])
    out = (outer - inner) / 2
    x, y = pads.x - np.sin(pads.turn) * out, pads.y + np.cos(pads.turn) * out
    places = np.stack([x, y, 0 * x], -1)[these]
    scale = np.column_stack([flat, DROP_MM * amount])
    return scattered(dome(), scale, places, pads.turn[these])


def _ball_mesh(plan: BoardPlan, made: Package, mounted: Mounted) -> Mesh:
    """Make the balls below a package, less those that are missing."""
    balls = made.balls
    assert balls is not None
    count = len(balls.places)
    kept = np.array([(mounted.site, i) not in plan.unsoldered for i in range(count)])
    x, y = on_board(mounted.place, balls.places)
    wide = balls.diameter * np.sqrt(plan.solder[mounted.site][-count:].astype(np.float64))
    scale = np.stack([wide, wide, np.full(count, balls.height)], -1)
    places = np.stack([x, y, np.zeros(count)], -1)
    return scattered(ball(), scale[kept], places[kept])


def bridge_mesh(bridge: Bridge) -> Mesh:
    """Make solder between two neighbouring leads."""
    ends = terminals(package(SITE[bridge.site].package), nominal(bridge.site))
    one, other = bridge.joint, bridge.joint + 1
    across, down = ends.x[other] - ends.x[one], ends.y[other] - ends.y[one]
    long = np.hypot(across, down) + 0.3
    out_x, out_y = -np.sin(ends.turn[one]), np.cos(ends.turn[one])
    place = [
        (ends.x[one] + ends.x[other]) / 2 - 0.1 * out_x,
        (ends.y[one] + ends.y[other]) / 2 - 0.1 * out_y,
        0.0,
    ]
    turn = np.arctan2(down, across)
    return scattered(dome(), (long, bridge.size, BRIDGE_RISE_MM), place, turn)


def void_mesh(plan: BoardPlan, void: Void) -> Mesh:
    """Make a bubble in the middle of a ball's height, no thicker than the ball allows."""
    mounted = plan.at(void.site)
    assert mounted is not None
    balls = package(mounted.package).balls
    assert balls is not None
    x, y = on_board(mounted.place, balls.places[[void.ball]])
    thick = min(void.diameter, VOID_SHARE * balls.height)
    place = [float(x[0]) + void.x, float(y[0]) + void.y, (balls.height - thick) / 2]
    return scattered(ball(), (void.diameter, void.diameter, thick), place)


@lru_cache(maxsize=1)
def _tinning() -> Raster:
    """Give the thickness of tin on all pads (y, x), mm."""
    raster = Raster.over(*BOARD_MM, FILM_PITCH_MM)
    for x, y, width, height in all_pads()[0].tolist():
        stamp(raster, Place(x, y), Film("solder", 0, 0, width, height, TINNING_MM))
    return raster


def _window(raster: Raster, x: float, y: float, reach: float) -> tuple[slice, slice]:
    """Give the rows and columns within a reach (mm) of a place."""
    rows, columns = (
        slice(
            max(int((centre - reach - start) / raster.pitch), 0),
            max(int((centre + reach - start) / raster.pitch) + 2, 0),
        )
        for centre, start in ((y, raster.y), (x, raster.x))
    )
    return rows, columns


def stamp(raster: Raster, place: Place, film: Film) -> None:
    """Lay a film of a component at a place onto a raster of thickness, in place."""
    x, y = (float(value[0]) for value in on_board(place, [[film.x, film.y]]))
    reach = float(np.hypot(film.width, film.height)) / 2 + raster.pitch
    rows, columns = _window(raster, x, y, reach)
    right, down = raster.axes
    u, v = Place(x, y, place.turn).local(right[:, columns], down[rows])
    share = np.clip((film.width / 2 - np.abs(u)) / raster.pitch + 0.5, 0, 1)
    share = share * np.clip((film.height / 2 - np.abs(v)) / raster.pitch + 0.5, 0, 1)
    raster.values[rows, columns] += np.float32(film.thickness) * share


def _pierce(raster: Raster, x: float, y: float, diameter: float) -> None:
    """Take a round void out of a film, in place."""
    rows, columns = _window(raster, x, y, diameter / 2 + raster.pitch)
    right, down = raster.axes
    inside = diameter / 2 - np.hypot(right[:, columns] - x, down[rows] - y)
    raster.values[rows, columns] *= 1 - as_map(np.clip(inside / raster.pitch + 0.5, 0, 1))


def solder_film(plan: BoardPlan) -> Raster:
    """Give the thickness of flat solder (y, x), mm: tin on pads, films below tabs, their voids."""
    base = _tinning()
    raster = Raster(base.x, base.y, base.pitch, base.values.copy())
    for mounted in plan.mounted:
        if mounted.site in plan.bare_films:
            continue
        for film in package(mounted.package).films:
            if film.material == "solder":
                stamp(raster, mounted.place, film)
    regulator = plan.at("VR1")
    if regulator is not None and "VR1" not in plan.bare_films:
        x, y = on_board(regulator.place, plan.film_voids)
        for void_x, void_y, diameter in zip(x, y, plan.film_voids[:, 2], strict=True):
            _pierce(raster, float(void_x), float(void_y), float(diameter))
    return raster


def frame_film(plan: BoardPlan) -> Raster:
    """Give the thickness of copper inside packages (y, x), mm: lead frames, planes."""
    raster = Raster.over(*BOARD_MM, FILM_PITCH_MM)
    for mounted in plan.mounted:
        for film in package(mounted.package).films:
            if film.material == "copper":
                stamp(raster, mounted.place, film)
    return raster


def all_solder(plan: BoardPlan) -> Mesh:
    """Make the board's solder as one mesh."""
    standing = {mounted.site: mounted for mounted in plan.mounted}
    meshes = [
        mesh for site in SITES for mesh in site_solder(plan, site.name, standing.get(site.name))
    ]
    return merged([*meshes, *(bridge_mesh(bridge) for bridge in plan.bridges)])
