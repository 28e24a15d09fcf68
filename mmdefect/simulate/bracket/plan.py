"""The bracket's plan: every number in which one good bracket differs from the next.

Nominal dimensions stand here, with their tolerances; a defect is another plan.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mmdefect.simulate.body import Body
from mmdefect.simulate.fixture import Standing, draw_standing
from mmdefect.simulate.marks import (
    Dent,
    Place,
    Scratch,
    Smudge,
    Stain,
    draw_dust,
    draw_smudges,
)
from mmdefect.simulate.raster import Map

WIDTH_MM, HEIGHT_MM, CORNER_MM = 90.0, 75.0, 6.0
THICKNESS_MM = 7.0
SPOTS = ((-38.0, -30.5), (38.0, -30.5), (-38.0, 30.5), (38.0, 30.5))
SUNK_SPOTS = (1, 2)
SPOT_RADIUS_MM = 3.3
SINK_MM = 2.3
OPTION = (0.0, -6.0)
OPTION_RADIUS_MM = 2.8
SLOT = (-21.0, 18.5, 16.0, 5.6)
POCKET = (16.0, 17.0, 34.0, 22.0)
POCKET_DEPTH_MM, POCKET_CORNER_MM = 3.6, 4.0
BOSSES = ((-27.0, -3.0), (28.0, -9.0))
BOSS_RADIUS_MM, BOSS_MM = 7.6, 4.2
INSERT_RADIUS_MM, BORE_RADIUS_MM = 3.2, 1.9
PINS = ((-38.5, 11.0), (39.0, 8.0))
PIN_RADIUS_MM, PIN_MM = 2.0, 3.2
FLANGE = (-3.0, -24.0, 52.0, 5.0)
FLANGE_MM = 12.0
FIELD = (-17.5, 29.0, 23.0, 6.6)
BLASTED = (-11.0, 6.0, 11.0, 8.0)

TOLERANCE_MM = 0.06
HEIGHT_TOLERANCE_MM = 0.05
DRILLED_SHARE = 0.5
DUST_SPECKS = 9.0


@dataclass(frozen=True)
class Spot:
    """Something round: x, y, radius and how high it stands (mm), sunk or not."""

    x: float
    y: float
    radius: float
    height: float = 0.0
    sunk: bool = False

    def away(self, x: Any, y: Any) -> Map:
        """Give the distance from its axis, mm."""
        away: Map = np.hypot(x - self.x, y - self.y)
        return away


@dataclass(frozen=True)
class Milling:
    """The finish that cutting left on one bracket.

    Parameters
    ----------
    turn : float, rad
        Direction of the face mill's lanes.
    lane, radius, feed : float, mm
        Width of a lane, radius of the face mill, distance between its marks.
    offset : tuple of float, mm
        Of the lanes and of the marks.
    depth : float, 1
        Slope of the marks' flanks.
    roughness, tone : float, 1
        Of the cut surface; relative brightness.
    chamfer : float, mm
        Width of the broken edges.
    seed : int
        Of all that is too fine to be numbered.
    """

    turn: float
    lane: float
    radius: float
    feed: float
    offset: tuple[float, float]
    depth: float
    roughness: float
    tone: float
    chamfer: float
    seed: int


@dataclass(frozen=True)
class Burr:
    """Metal pushed up at a hole's edge.

    Parameters
    ----------
    x, y, radius : float, mm
        Of the hole.
    height, width : float, mm
        Of the burr; it falls off with the distance from the edge.
    middle, half_angle : float, rad
        Which part of the edge it takes: direction of its middle, and how far to either side.
    """

    x: float
    y: float
    radius: float
    height: float
    width: float
    middle: float
    half_angle: float

    def rise(self, x: Any, y: Any) -> Map:
        """Give how much higher the surface lies, mm."""
        right, down = x - self.x, y - self.y
        beyond = np.clip((np.hypot(right, down) - self.radius) / self.width, 0, 1)
        angle = np.arctan2(down, right)
        off = np.abs(np.mod(angle - self.middle + np.pi, 2 * np.pi) - np.pi)
        share = np.clip(2 * (1 - off / self.half_angle), 0, 1)
        ragged = 1 + 0.25 * np.sin(7 * angle) + 0.15 * np.sin(17 * angle + 1)
        rise: Map = self.height * (1 - beyond) ** 1.5 * share * ragged / 1.4
        return rise


@dataclass(frozen=True)
class Bracket:
    """One bracket on its fixture; what a defect adds is empty on a good one.

    Parameters
    ----------
    standing : Standing
    thickness, pocket_depth, flange_height : float, mm
    shifts : tuple of (float, float), mm
        Deviation of slot, pocket, flange and marking from their nominal places.
    spots : tuple of Spot
        Holes at the corners.
    option : Spot
        Where about half of the brackets have a hole.
    drilled : bool
        Whether this one has.
    bosses, pins : tuple of Spot
        The bosses, which carry threaded inserts, and the dowel pins.
    milling : Milling
    serial : int
    dust : Map (3, n), mm
    smudges : tuple of Smudge
    scratches, stains, dents, burrs
        Marks of the surface.
    printed : bool
        Whether the optional hole's look is printed.
    missing : tuple of str
        Names of bodies that were left out.
    materials : tuple of (str, str)
        Bodies made of another material than theirs.
    flaws : tuple of Body
        Inside the metal.
    """

    standing: Standing
    thickness: float
    pocket_depth: float
    flange_height: float
    shifts: tuple[tuple[float, float], ...]
    spots: tuple[Spot, ...]
    option: Spot
    drilled: bool
    bosses: tuple[Spot, ...]
    pins: tuple[Spot, ...]
    milling: Milling
    serial: int
    dust: Map
    smudges: tuple[Smudge, ...]
    scratches: tuple[Scratch, ...] = ()
    stains: tuple[Stain, ...] = ()
    dents: tuple[Dent, ...] = ()
    burrs: tuple[Burr, ...] = ()
    printed: bool = False
    missing: tuple[str, ...] = ()
    materials: tuple[tuple[str, str], ...] = ()
    flaws: tuple[Body, ...] = ()

    @property
    def holes(self) -> tuple[Spot, ...]:
        """Give all round holes that are open."""
        return (*self.spots, self.option) if self.drilled else self.spots

    @property
    def slot(self) -> Place:
        """Give the middle of the slot."""
        return _shifted(SLOT, self.shifts[0])

    @property
    def pocket(self) -> Place:
        """Give the middle of the pocket."""
        return _shifted(POCKET, self.shifts[1])

    @property
    def flange(self) -> Place:
        """Give the middle of the flange."""
        return _shifted(FLANGE, self.shifts[2])

    @property
    def field(self) -> Place:
        """Give the middle of the marking."""
        return _shifted(FIELD, self.shifts[3])


def _shifted(nominal: tuple[float, ...], shift: tuple[float, float]) -> Place:
    """Move a nominal place."""
    return Place(nominal[0] + shift[0], nominal[1] + shift[1])


def _spots(
    rng: np.random.Generator,
    places: tuple[tuple[float, float], ...],
    radius: float,
    height: float = 0.0,
    sunk: tuple[int, ...] = (),
) -> tuple[Spot, ...]:
    """Draw spots within their tolerances."""
    off = np.clip(rng.standard_normal((len(places), 4)), -2, 2) * TOLERANCE_MM
    return tuple(
        Spot(float(x + dx), float(y + dy), float(radius + 0.5 * dr), float(height + dh), i in sunk)
        for i, ((x, y), (dx, dy, dr, dh)) in enumerate(zip(places, off, strict=True))
    )


def _draw_milling(rng: np.random.Generator) -> Milling:
    """Draw a finish."""
    return Milling(
        turn=float(np.deg2rad(rng.choice([0.0, 180.0]) + rng.normal(0, 0.8))),
        lane=float(rng.uniform(17, 21)),
        radius=float(rng.uniform(13, 18)),
        feed=float(rng.uniform(0.9, 1.3)),
        offset=(float(rng.uniform(0, 20)), float(rng.uniform(0, 10))),
        depth=float(rng.uniform(0.03, 0.06)),
        roughness=float(rng.uniform(0.27, 0.34)),
        tone=float(rng.normal(1, 0.025)),
        chamfer=float(rng.uniform(0.35, 0.55)),
        seed=int(rng.integers(2**31)),
    )


def draw_bracket(rng: np.random.Generator) -> Bracket:
    """Draw one good bracket: pose, dimensions within their tolerances, finish, dirt."""
    standing = draw_standing(rng)
    heights = np.clip(rng.standard_normal(3), -2, 2) * HEIGHT_TOLERANCE_MM
    shifts = np.clip(rng.standard_normal((4, 2)), -2, 2) * TOLERANCE_MM
    shifts[3] *= 4
    return Bracket(
        standing=standing,
        thickness=float(THICKNESS_MM + heights[0]),
        pocket_depth=float(POCKET_DEPTH_MM + heights[1]),
        flange_height=float(FLANGE_MM + heights[2]),
        shifts=tuple((float(x), float(y)) for x, y in shifts),
        spots=_spots(rng, SPOTS, SPOT_RADIUS_MM, sunk=SUNK_SPOTS),
        option=_spots(rng, (OPTION,), OPTION_RADIUS_MM)[0],
        drilled=bool(rng.random() < DRILLED_SHARE),
        bosses=_spots(rng, BOSSES, BOSS_RADIUS_MM, BOSS_MM),
        pins=_spots(rng, PINS, PIN_RADIUS_MM, PIN_MM),
        milling=_draw_milling(rng),
        serial=int(rng.integers(1000, 10000)),
        dust=draw_dust(rng, WIDTH_MM, HEIGHT_MM, DUST_SPECKS),
        smudges=draw_smudges(rng, WIDTH_MM - 20, HEIGHT_MM - 20),
    )
