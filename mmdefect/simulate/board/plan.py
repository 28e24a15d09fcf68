"""The plan of one board: every number that differs from board to board.

Good boards differ in placement, sizes, amounts of solder, flux residue, colours, prints, lots,
bow, dust, makers of capacitors, and in whether the optional resistor is there. The ranges are the
constants below.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mmdefect.simulate.board.artwork import Legend, legends
from mmdefect.simulate.board.families import package
from mmdefect.simulate.board.layout import BOARD_MM, LOW, OPTIONAL, SITES, TALL, Site
from mmdefect.simulate.board.routes import all_pads
from mmdefect.simulate.fixture import Standing, draw_standing
from mmdefect.simulate.marks import Place, Smudge, Stain, draw_dust, draw_smudges
from mmdefect.simulate.raster import Map, as_map

PLACEMENT_MM, PLACEMENT_DEG = 0.1, 1.5
SIZE_SHARE = 0.02
HEIGHT_SHARE = 0.03
TONE_SHARE = 0.08
POWER_SHARE = 0.04
SOLDER_SHARE, SOLDER_LIMITS = 0.14, (0.6, 1.45)
SOLDER_TONE = (0.93, 1.05)
BOW_MM, TWIST_MM = (0.1, 0.2), 0.05
SILK_MM, SILK_STRENGTH = 0.15, (0.78, 0.97)
TINT_SHARE = 0.07
FLUX_COUNT, FLUX_MM, FLUX_STRENGTH = 10, (1.2, 3.0), (0.05, 0.25)
DUST_COUNT = 14
POPULATED_SHARE = 0.5
TALL_SHARE = 0.5
FILM_VOIDS, FILM_VOID_MM = (4, 12), (0.25, 0.9)
LEAD_OFFSET_DEG = 0.6


@dataclass(frozen=True)
class Mounted:
    """One component as it stands on the board.

    Parameters
    ----------
    site : str
    package : str
        What it is made of.
    look : str
        Package whose colours it has; its own but for a counterfeit.
    text : str
    place : Place
        mm, rad.
    size : tuple of float, 1
        Factors on the package's sizes, along x, y and height.
    tone : float, 1
    power : float, W
    lift : float, mm
        Of the end at its own +x; negative: of the other end.
    """

    site: str
    package: str
    look: str
    text: str
    place: Place
    size: tuple[float, float, float]
    tone: float
    power: float
    lift: float = 0.0


@dataclass(frozen=True)
class Smear:
    """Wet ink dragged over the board: centre, reach, way (mm) and direction (rad)."""

    place: Place
    reach: float
    way: float


@dataclass(frozen=True)
class Print:
    """The silkscreen: how far it lies off (mm), how dense it is, and what it says."""

    shift_x: float
    shift_y: float
    strength: float
    legends: tuple[Legend, ...]
    smear: Smear | None = None


@dataclass(frozen=True)
class Void:
    """A bubble in a solder ball: site, ball, offset from its middle and diameter, mm."""

    site: str
    ball: int
    x: float
    y: float
    diameter: float


@dataclass(frozen=True)
class Bridge:
    """Solder between two neighbouring leads: site, first joint, thickness of it, mm."""

    site: str
    joint: int
    size: float


@dataclass(frozen=True)
class Short:
    """A short circuit in the top copper that gives off heat: place, size (mm), power (W)."""

    place: Place
    width: float
    height: float
    power: float


@dataclass(frozen=True)
class BoardPlan:
    """All that is drawn for one board.

    Parameters
    ----------
    mounted : tuple of Mounted
    optional : Mounted
        The component at the optional site, on boards that have none there too.
    solder : mapping of str to Map (joint,)
        By site, factors on the joints' amount of solder: leads, then balls.
    standing : Standing
    bow, twist : float, mm
        Of the middle against the corners; of the corners against each other.
    tint : tuple of float, 1
        Factors on the solder mask's colour.
    tone, reel : float, 1
        Factors on the brightness of the solder, and of the ceramic capacitors, all of one reel.
    silkscreen : Print
    flux : tuple of Stain
        Residue beside joints.
    residue : tuple of Stain
        Contamination: none on good boards.
    dust : Map (3, n), mm
    smudges : tuple of Smudge
    film_voids : Map (void, 3), mm
        In the solder below the regulator: x, y from its middle, diameter.
    voids : tuple of Void
    bridges : tuple of Bridge
    unsoldered : frozenset of (str, int)
        Joints without solder, by site and number.
    bare_films : frozenset of str
        Sites without solder below the tab.
    shorts : tuple of Short
    """

    mounted: tuple[Mounted, ...]
    optional: Mounted
    solder: Mapping[str, Map]
    standing: Standing
    bow: float
    twist: float
    tint: tuple[float, float, float]
    tone: float
    reel: float
    silkscreen: Print
    flux: tuple[Stain, ...]
    dust: Map
    smudges: tuple[Smudge, ...]
    film_voids: Map
    residue: tuple[Stain, ...] = ()
    voids: tuple[Void, ...] = ()
    bridges: tuple[Bridge, ...] = ()
    unsoldered: frozenset[tuple[str, int]] = frozenset()
    bare_films: frozenset[str] = frozenset()
    shorts: tuple[Short, ...] = ()

    def at(self, site: str) -> Mounted | None:
        """Find what stands at a site; None where nothing does."""
        return next((m for m in self.mounted if m.site == site), None)

    def bend(self, x: Map, y: Map) -> Map:
        """Give how much higher the bowed board lies at x, y (mm), mm."""
        u, v = x / np.float32(41.0), y / np.float32(33.5)
        middle = np.float32(1) - np.float32(0.5) * (u * u + v * v)
        return as_map(np.float32(self.bow) * middle + np.float32(self.twist) * u * v)


def draw(rng: np.random.Generator) -> BoardPlan:
    """Draw the plan of a good board."""
    standing = draw_standing(rng)
    lot = f"{int(rng.integers(18, 26))}{int(rng.integers(1, 53)):02d}"
    mounted = tuple(_draw_mounted(rng, site, lot) for site in SITES)
    populated = rng.random() < POPULATED_SHARE
    kept = tuple(m for m in mounted if populated or m.site != OPTIONAL)
    solder = {site.name: _draw_solder(rng, site) for site in SITES}
    sign = 1.0 if rng.random() < 0.5 else -1.0
    tint = rng.uniform(1 - TINT_SHARE, 1 + TINT_SHARE, 3) * rng.uniform(0.9, 1.1)
    return BoardPlan(
        mounted=kept,
        optional=next(m for m in mounted if m.site == OPTIONAL),
        solder=solder,
        standing=standing,
        bow=sign * float(rng.uniform(*BOW_MM)),
        twist=float(rng.uniform(-TWIST_MM, TWIST_MM)),
        tint=(float(tint[0]), float(tint[1]), float(tint[2])),
        tone=float(rng.uniform(*SOLDER_TONE)),
        reel=float(rng.uniform(1 - TONE_SHARE, 1 + TONE_SHARE)),
        silkscreen=_draw_print(rng),
        flux=_draw_flux(rng),
        dust=draw_dust(rng, *BOARD_MM, DUST_COUNT),
        smudges=draw_smudges(rng, *BOARD_MM),
        film_voids=_draw_film_voids(rng),
    )


def _draw_print(rng: np.random.Generator) -> Print:
    """Draw how far the silkscreen lies off, and how dense it is."""
    x, y = rng.uniform(-SILK_MM, SILK_MM, 2)
    return Print(float(x), float(y), float(rng.uniform(*SILK_STRENGTH)), legends())


def _draw_mounted(rng: np.random.Generator, site: Site, lot: str) -> Mounted:
    """Draw one component: its maker, tolerances, place and power."""
    tall = site.package == LOW and rng.random() < TALL_SHARE
    name = TALL if tall else site.package
    long = max(package(name).reach)
    turn = min(PLACEMENT_DEG, np.rad2deg(2 * PLACEMENT_MM / long) + LEAD_OFFSET_DEG)
    x, y = rng.uniform(-PLACEMENT_MM, PLACEMENT_MM, 2)
    off = rng.uniform(-turn, turn)
    flat = rng.uniform(1 - SIZE_SHARE, 1 + SIZE_SHARE, 2)
    thick = rng.uniform(1 - HEIGHT_SHARE, 1 + HEIGHT_SHARE)
    letter = "ABCDEFGH"[int(rng.integers(8))]
    return Mounted(
        site=site.name,
        package=name,
        look=name,
        text=site.text.replace("#", lot + letter),
        place=Place(float(site.x + x), float(site.y + y), float(np.deg2rad(site.turn + off))),
        size=(float(flat[0]), float(flat[1]), float(thick)),
        tone=float(rng.uniform(1 - TONE_SHARE, 1 + TONE_SHARE)),
        power=site.power * float(rng.uniform(1 - POWER_SHARE, 1 + POWER_SHARE)),
    )


def _draw_solder(rng: np.random.Generator, site: Site) -> Map:
    """Draw the amounts of solder of a site's joints."""
    amounts = rng.normal(1, SOLDER_SHARE, package(site.package).joint_count)
    return as_map(np.clip(amounts, *SOLDER_LIMITS))


def draw_stain(
    rng: np.random.Generator, x: float, y: float, diameter: float, strength: float
) -> Stain:
    """Draw the uneven edge of a dried film."""
    waves = tuple((float(a), float(p)) for a, p in rng.uniform([-0.16, 0], [0.16, 6.2], (3, 2)))
    return Stain(Place(x, y, float(rng.uniform(0, 6.2))), diameter, strength, waves)


def _draw_flux(rng: np.random.Generator) -> tuple[Stain, ...]:
    """Draw residue of flux beside some joints."""
    pads, _ = all_pads()
    found = []
    for number in rng.integers(len(pads), size=int(rng.poisson(FLUX_COUNT))):
        x, y = (float(pads[number, i] + rng.normal(0, 0.4)) for i in (0, 1))
        diameter, strength = rng.uniform(*FLUX_MM), rng.uniform(*FLUX_STRENGTH)
        found.append(draw_stain(rng, x, y, float(diameter), float(strength)))
    return tuple(found)


def _draw_film_voids(rng: np.random.Generator) -> Map:
    """Draw the small voids that every large soldered area has."""
    count = int(rng.integers(*FILM_VOIDS))
    x, y = rng.uniform(-0.46, 0.46, (2, count))
    return as_map(np.stack([x * 10.0, y * 8.9 - 1.35, rng.uniform(*FILM_VOID_MM, count)], -1))
