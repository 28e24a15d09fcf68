"""The families of packages that stand on the board, with their makers' nominal sizes (mm)."""

from collections.abc import Callable
from functools import lru_cache, partial

import numpy as np

from mmdefect.simulate.board.mesh import gull_wing, merged, scattered, shifted
from mmdefect.simulate.board.packages import (
    DOWN,
    LEFT,
    RIGHT,
    UP,
    Balls,
    Film,
    Joints,
    Package,
    Piece,
)
from mmdefect.simulate.raster import as_map
from mmdefect.simulate.shapes import (
    Mesh,
    box,
    cylinder,
    plate,
    prism,
    rectangle,
    turned,
    without,
)

LEAD_MM = 0.2
CAN_MM = 8.0
CAN_BASE_MM = 1.2
LOW_MM, TALL_MM = 6.2, 10.2
BALL_PITCH_MM, BALL_MM, BALL_HEIGHT_MM = 1.27, 0.76, 0.5


def _feet(offset: float, length: float, width: float, height: float) -> Mesh:
    """Make the two flat terminals, `offset` away from the middle along x."""
    foot = box(length, width, 0, height)
    return merged([shifted(foot, side * offset, 0) for side in (-1, 1)])


def _ends(length: float, width: float, height: float) -> Joints:
    """Give the joints of a component soldered at its two ends along x."""
    places = as_map([[-length / 2, 0, LEFT], [length / 2, 0, RIGHT]])
    return Joints(places, (0.95 * width, 0.5, height), (1.1 * width, 0.55, 0.6))


def _chip(length: float, width: float, height: float, end: float, paint: str) -> Package:
    """Make a ceramic chip with tinned ends."""
    middle = box(length - 2 * end, 0.97 * width, 0.03, 0.97 * height)
    caps = _feet((length - end) / 2, end, width, height)
    role = "ceramics" if paint == "ceramic" else "case"
    pieces = (Piece(role, middle, "ceramic"), Piece("ends", caps, "solder"))
    reach = (length + 1.2, 1.1 * width)
    joints = (_ends(length, width, 0.6 * height),)
    return Package((length, width, height), reach, pieces, paint, joints)


def _moulded(length: float, width: float, height: float, paint: str) -> Package:
    """Make a moulded body with flat terminals folded under its two ends."""
    case = box(length, width, 0.15, height)
    feet = _feet((length + 0.5) / 2, 0.5, 0.6 * width, 0.4 * height)
    pieces = (Piece("case", case, "epoxy"), Piece("ends", feet, "copper"))
    films = (Film("copper", 0, 0, 0.5 * length, 0.5 * width, 0.25),)
    joints = (_ends(length + 1.0, 0.6 * width, 0.3 * height),)
    return Package((length, width, height), (length + 2.2, width), pieces, paint, joints, films)


def _can(height: float, paint: str) -> Package:
    """Make an aluminium electrolytic capacitor on its plastic base."""
    radius = CAN_MM / 2
    profile = [(radius - 0.35, height), (radius, height - 0.35), (radius, CAN_BASE_MM)]
    half = radius + 0.15
    cut = [(-half, -half), (half - 1.2, -half), (half, 1.2 - half), (half, half - 1.2)]
    base = prism([*cut, (half - 1.2, half), (-half, half)], 0, CAN_BASE_MM)
    feet = _feet(half + 0.6, 1.2, 0.9, 0.25)
    pieces = (
        Piece("case", turned(profile, 40), "aluminium"),
        Piece("core", cylinder(radius - 0.3, CAN_BASE_MM + 0.6, height - 0.5, 24), "fr4"),
        Piece("bases", base, "abs"),
        Piece("ends", feet, "copper"),
    )
    joints = (_ends(2 * half + 2.4, 1.0, 0.3),)
    reach = (2 * half + 3.4, 2 * half)
    return Package((CAN_MM, CAN_MM, height), reach, pieces, paint, joints)


def _rows(count: int, pitch: float, offset: float, sides: tuple[float, ...]) -> list[list[float]]:
    """Place leads (x, y, turn) along sides that face the given ways, `offset` from the middle."""
    along = (np.arange(count) - (count - 1) / 2) * pitch
    places = []
    for turn in sides:
        out_x, out_y = -np.sin(turn), np.cos(turn)
        places += [[out_x * offset + out_y * a, out_y * offset - out_x * a, turn] for a in along]
    return places


def _leaded(
    size: tuple[float, float, float],
    count: int,
    pitch: float,
    lead: tuple[float, float, float],
    sides: tuple[float, ...],
) -> Package:
    """Make an integrated circuit with gull-wing leads; `lead`: width, length, rise (mm)."""
    width, length, rise = lead
    case = box(size[0], size[1], 0.12, size[2])
    foot = as_map(_rows(count, pitch, size[1] / 2, sides))
    places = np.column_stack([foot[:, :2], np.zeros(len(foot))])
    leads = scattered(gull_wing(width, length, rise, LEAD_MM), (1, 1, 1), places, foot[:, 2])
    toes = as_map(_rows(count, pitch, size[1] / 2 + length, sides))
    joints = Joints(toes, (1.1 * width, 0.4, 0.3), (1.35 * width, 0.6 * length, 0.45))
    paddle = 0.55 * min(size[:2])
    across = size[0] + 2 * length if RIGHT in sides else size[0]
    pieces = (
        Piece("case", case, "epoxy"),
        Piece("leads", leads, "copper"),
    )
    films = (
        Film("copper", 0, 0, paddle, paddle, 0.2),
        *(
            Film("copper", 0.55 * x, 0.8 * y, 0.7 * pitch, 0.16 * size[1], 0.15)
            for x, y, turn in foot.tolist()
            if turn in (DOWN, UP)
        ),
    )
    reach = (across + 0.9, size[1] + 2 * length + 0.9)
    return Package(size, reach, pieces, "circuit", (joints,), films)


def _ball_grid(side: int) -> Package:
    """Make a ball-grid array with `side` times `side` balls."""
    size = (13.0, 13.0, 1.75)
    along = (np.arange(side) - (side - 1) / 2) * BALL_PITCH_MM
    places = as_map(np.stack(np.meshgrid(along, along), -1).reshape(-1, 2))
    low = BALL_HEIGHT_MM
    pieces = (
        Piece("case", box(11.6, 11.6, low + 0.5, size[2]), "epoxy"),
        Piece("carriers", box(13.0, 13.0, low, low + 0.5), "fr4"),
        Piece("core", box(5.6, 5.6, low + 0.55, low + 0.9), "silicon"),
    )
    films = (Film("copper", 0, 0, 12.2, 12.2, 0.035),)
    balls = Balls(places, BALL_MM, BALL_HEIGHT_MM)
    return Package(size, (13.0, 13.0), pieces, "circuit", (), films, balls)


def _regulator() -> Package:
    """Make a power regulator: black case on a copper tab, three leads towards y."""
    case = merged([box(10.2, 8.7, 1.3, 4.5), shifted(box(10.2, 1.3, 0.2, 1.3), 0, 3.7)])
    tab = shifted(box(9.8, 8.7, 0, 1.3), 0, -1.35)
    places = as_map([[x, 4.35, 0.0] for x in (-2.54, 0.0, 2.54)])
    leads = scattered(gull_wing(1.0, 4.6, 1.3, 0.5), (1, 1, 1), places)
    toes = as_map([[x, 8.95, DOWN] for x in (-2.54, 0.0, 2.54)])
    edge = Joints(as_map([[0, -5.7, UP]]), (9.6, 0.7, 0.6), (10.8, 0.2, 1.0))
    lead_joints = Joints(toes, (1.0, 0.6, 0.45), (1.4, 2.2, 0.7))
    pieces = (
        Piece("case", case, "epoxy"),
        Piece("tab", tab, "copper"),
        Piece("leads", leads, "copper"),
    )
    films = (Film("solder", 0, -1.35, 10.0, 8.9, 0.15),)
    return Package(
        (10.2, 8.7, 4.5), (10.8, 19.2), pieces, "circuit", (lead_joints, edge), films
    )  # fmt: skip


def _coil() -> Package:
    """Make a shielded power inductor: ferrite around a copper winding."""
    outline = rectangle(12, 12, 2.5)
    shell = plate(outline, 12, 12, 5.8, 0.2, 0.6)
    ring = without(lambda x, y: np.hypot(x, y) - 5, lambda x, y: np.hypot(x, y) - 2.6)
    winding = plate(ring, 10, 10, 3.8, 2.4, 0.5)
    feet = _feet(6.26, 0.5, 4.5, 1.2)
    pieces = (
        Piece("case", shell, "ceramic"),
        Piece("core", winding, "copper"),
        Piece("ends", feet, "copper"),
    )
    joints = (_ends(13.0, 4.5, 0.7),)
    return Package((12.0, 12.0, 5.8), (14.2, 12.0), pieces, "coil", joints)


def _stadium(length: float, width: float, low: float, high: float) -> Mesh:
    """Make a bar with round ends."""
    turns = np.linspace(-np.pi / 2, np.pi / 2, 13)
    x, y = (length - width) / 2 + width / 2 * np.cos(turns), width / 2 * np.sin(turns)
    half = [*zip(x.tolist(), y.tolist(), strict=True)]
    return prism([*half, *((-a, -b) for a, b in half)], low, high)


def _crystal() -> Package:
    """Make a quartz crystal in a hollow steel can."""
    pieces = (
        Piece("case", _stadium(10.4, 4.2, 0.8, 3.6), "steel"),
        Piece("core", _stadium(9.6, 3.4, 1.0, 3.4), "air"),
        Piece("bases", box(11.0, 4.7, 0, 0.8), "abs"),
        Piece("ends", _feet(6.1, 1.2, 0.8, 0.25), "copper"),
    )
    return Package((11.0, 4.7, 3.6), (14.4, 4.7), pieces, "crystal", (_ends(13.4, 0.8, 0.2),))


def _header() -> Package:
    """Make a shrouded pin header, soldered from below, that stands high above the board."""
    walls = without(rectangle(9, 32, 0.6), rectangle(6.8, 29.6, 0.3))
    shroud = merged([plate(walls, 9, 32, 8.8, 0.0, 0.5), box(6.6, 29.4, 0.0, 1.6)])
    rows = (np.arange(11) - 5) * 2.54
    places = np.array([[x, y, 0.0] for x in (-1.27, 1.27) for y in rows])
    pins = scattered(box(0.64, 0.64, -3.4, 6.8), (1, 1, 1), places)
    pieces = (Piece("case", shroud, "abs"), Piece("pins", pins, "copper"))
    films = tuple(Film("solder", x, y, 1.5, 1.5, 0.35) for x, y, _ in places.tolist())
    return Package((9.0, 32.0, 8.8), (9.0, 32.0), pieces, "shroud", (), films)


_FAMILIES: dict[str, Callable[[], Package]] = {
    "r0805": partial(_chip, 2.0, 1.25, 0.5, 0.35, "resistor"),
    "r1206": partial(_chip, 3.2, 1.6, 0.6, 0.45, "resistor"),
    "r2818": partial(_chip, 7.0, 4.4, 0.9, 0.7, "resistor"),
    "c0805": partial(_chip, 2.0, 1.25, 1.1, 0.45, "ceramic"),
    "c1206": partial(_chip, 3.2, 1.6, 1.4, 0.55, "ceramic"),
    "t1206": partial(_chip, 3.2, 1.6, 1.6, 0.45, "tantalum"),
    "led": partial(_chip, 3.2, 2.8, 1.8, 0.3, "led"),
    "sma": partial(_moulded, 4.3, 2.6, 2.2, "diode"),
    "can_low": partial(_can, LOW_MM, "grey_can"),
    "can_tall": partial(_can, TALL_MM, "blue_can"),
    "qfp44": partial(_leaded, (10, 10, 1.7), 11, 0.8, (0.36, 1.4, 0.8), (DOWN, UP, RIGHT, LEFT)),
    "soic16": partial(_leaded, (10.3, 7.5, 2.4), 8, 1.27, (0.42, 1.4, 1.1), (DOWN, UP)),
    "soic8": partial(_leaded, (4.9, 3.9, 1.6), 4, 1.27, (0.42, 1.05, 0.7), (DOWN, UP)),
    "bga81": partial(_ball_grid, 9),
    "d2pak": _regulator,
    "coil": _coil,
    "crystal": _crystal,
    "header": _header,
}


@lru_cache(maxsize=64)
def package(name: str) -> Package:
    """Make a package, once."""
    return _FAMILIES[name]()
