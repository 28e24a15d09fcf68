"""The panel's plan: every number in which one good panel differs from the next.

Nominal dimensions stand here, with their tolerances; a defect is another plan.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mmdefect.simulate.body import Body, Delamination
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
from mmdefect.simulate.panel.weave import Weave, draw_weave
from mmdefect.simulate.raster import Map, as_map

WIDTH_MM, HEIGHT_MM, CORNER_MM = 92.0, 76.0, 4.0
THICKNESS_MM = 4.0
FASTENERS = (
    (-39.0, -31.0), (39.0, -31.0), (-39.0, 31.0), (39.0, 31.0), (0.0, -31.0), (0.0, 31.0),
)  # fmt: skip
HEAD_MM, SHANK_MM = 3.4, 2.0
HOLES = ((-39.0, 0.0), (39.0, 0.0))
HOLE_RADIUS_MM = 2.6
PADS = ((-19.0, 8.0), (19.0, 8.0))
PAD_MM = (24.0, 20.0)
PAD_HEIGHT_MM = 0.5
LABEL = (0.0, -17.0)
LABEL_MM = (22.0, 8.0)

TOLERANCE_MM = 0.06
LABEL_TOLERANCE_MM = 0.15
LABEL_TOLERANCE_DEG = 0.5
THICKNESS_TOLERANCE_MM = 0.025
BOW_MM = 0.07
DUST_SPECKS = 9.0


@dataclass(frozen=True)
class Bow:
    """How a panel departs from flat: along x, along y, twisted; at its edge, mm."""

    along_x: float = 0.0
    along_y: float = 0.0
    twist: float = 0.0

    def rise(self, x: Any, y: Any) -> Any:
        """Give how much higher the surface lies, mm."""
        u, v = x / (WIDTH_MM / 2), y / (HEIGHT_MM / 2)
        bowed = self.along_x * (u * u - 1 / 3) + self.along_y * (v * v - 1 / 3)
        return bowed + self.twist * u * v


@dataclass(frozen=True)
class Panel:
    """One panel on its fixture; what a defect adds is empty on a good one.

    Parameters
    ----------
    standing : Standing
    thickness, pad_height : float, mm
    bow : Bow
    fasteners : tuple of Place
        Heads, with the turn of their sockets.
    holes : tuple of Place
    pad : int
        At which of two places the doubler pad is bonded.
    pad_shift : tuple of float, mm
    pad_look : int
        At which place the pad's look is; on a good panel where the pad is.
    label : Place
    serial : int
    weave : Weave
    tone, gloss : float, 1
        Overall reflectance of the fibres; roughness of the resin.
    seed : int
        Of all that is too fine to be numbered.
    dust : Map (3, n), mm
    smudges : tuple of Smudge
    scratches, stains, dents, warps, delaminations
        Marks and flaws.
    missing : tuple of str
        Names of bodies that were left out.
    materials : tuple of (str, str)
        Bodies made of another material than theirs.
    flaws : tuple of Body
        Inside the laminate.
    """

    standing: Standing
    thickness: float
    pad_height: float
    bow: Bow
    fasteners: tuple[Place, ...]
    holes: tuple[Place, ...]
    pad: int
    pad_shift: tuple[float, float]
    pad_look: int
    label: Place
    serial: int
    weave: Weave
    tone: float
    gloss: float
    seed: int
    dust: Map
    smudges: tuple[Smudge, ...]
    scratches: tuple[Scratch, ...] = ()
    stains: tuple[Stain, ...] = ()
    dents: tuple[Dent, ...] = ()
    warps: tuple[Bow, ...] = ()
    delaminations: tuple[Delamination, ...] = ()
    missing: tuple[str, ...] = ()
    materials: tuple[tuple[str, str], ...] = ()
    flaws: tuple[Body, ...] = ()

    def pad_place(self, which: int) -> Place:
        """Give the middle of one of the pad's two places, with this panel's deviation."""
        x, y = PADS[which]
        return Place(x + self.pad_shift[0], y + self.pad_shift[1])

    def surface(self, x: Any, y: Any) -> Any:
        """Give the height of the laminate's top face, mm."""
        rise = self.bow.rise(x, y)
        for warp in self.warps:
            rise = rise + warp.rise(x, y)
        for dent in self.dents:
            rise = rise - dent.drop(x, y)
        return rise

    def underside(self, x: Any, y: Any) -> Any:
        """Give the height of the laminate's lower face, mm; dents do not reach it."""
        return replace(self, dents=()).surface(x, y) - self.thickness


def _places(
    rng: np.random.Generator, nominal: tuple[tuple[float, float], ...]
) -> tuple[Place, ...]:
    """Draw places within their tolerances, turned at random."""
    off = np.clip(rng.standard_normal((len(nominal), 2)), -2, 2) * TOLERANCE_MM
    turn = rng.uniform(0, np.pi / 3, len(nominal))
    return tuple(
        Place(float(x + dx), float(y + dy), float(t))
        for (x, y), (dx, dy), t in zip(nominal, off, turn, strict=True)
    )


def draw_panel(rng: np.random.Generator) -> Panel:
    """Draw one good panel: pose, dimensions within their tolerances, cloth, finish, dirt."""
    standing = draw_standing(rng)
    label = np.clip(rng.standard_normal(3), -2, 2)
    spread = np.clip(rng.standard_normal(7), -2, 2)
    pad = int(rng.integers(len(PADS)))
    return Panel(
        standing=standing,
        thickness=float(THICKNESS_MM + THICKNESS_TOLERANCE_MM * spread[0]),
        pad_height=float(PAD_HEIGHT_MM + THICKNESS_TOLERANCE_MM * spread[1]),
        bow=Bow(*(float(BOW_MM * value) for value in spread[2:5])),
        fasteners=_places(rng, FASTENERS),
        holes=_places(rng, HOLES),
        pad=pad,
        pad_shift=(float(2 * TOLERANCE_MM * spread[5]), float(2 * TOLERANCE_MM * spread[6])),
        pad_look=pad,
        label=Place(
            float(LABEL[0] + LABEL_TOLERANCE_MM * label[0]),
            float(LABEL[1] + LABEL_TOLERANCE_MM * label[1]),
            float(np.deg2rad(LABEL_TOLERANCE_DEG) * label[2]),
        ),
        serial=int(rng.integers(1000, 10000)),
        weave=draw_weave(rng),
        tone=float(rng.normal(1, 0.04)),
        gloss=float(rng.uniform(0.10, 0.15)),
        seed=int(rng.integers(2**31)),
        dust=as_map(draw_dust(rng, WIDTH_MM, HEIGHT_MM, DUST_SPECKS)),
        smudges=draw_smudges(rng, WIDTH_MM - 20, HEIGHT_MM - 20),
    )
