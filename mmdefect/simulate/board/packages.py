"""The packages of a board's components: solids, joints, films of metal, and how they are painted.

Each is made once, about its own origin, standing on height 0; building a board only moves copies.
"""

from dataclasses import dataclass

import numpy as np

from mmdefect.simulate.raster import Map, as_map
from mmdefect.simulate.shapes import Mesh

RIGHT, LEFT, DOWN, UP = -np.pi / 2, np.pi / 2, 0.0, np.pi


@dataclass(frozen=True)
class Piece:
    """One solid of a component.

    Parameters
    ----------
    role : str
        ``case``, ``core`` (lies in the case and replaces it there), ``tab``, or a role whose
        solids are one body for the whole board: ``ceramics``, ``ends``, ``leads``, ``bases``,
        ``pins``, ``carriers``.
    mesh : Mesh
    material : str
    """

    role: str
    mesh: Mesh
    material: str


@dataclass(frozen=True)
class Joints:
    """Solder joints of one shape.

    Parameters
    ----------
    places : Map (joint, 3), mm, mm, rad
        Where the fillet meets the terminal, and its turn: 0 when it spreads towards y.
    fillet : tuple of float, mm
        Width, length, height.
    pad : tuple of float, mm
        Width; how far it reaches below the terminal, and beyond it.
    """

    places: Map
    fillet: tuple[float, float, float]
    pad: tuple[float, float, float]


@dataclass(frozen=True)
class Film:
    """A flat rectangle of metal that only the X-ray beam feels.

    Parameters
    ----------
    material : str
        ``solder`` below the component, or ``copper`` inside it.
    x, y, width, height, thickness : float, mm
    """

    material: str
    x: float
    y: float
    width: float
    height: float
    thickness: float


@dataclass(frozen=True)
class Balls:
    """Solder balls below a package: centres (ball, 2), diameter and height, mm."""

    places: Map
    diameter: float
    height: float


@dataclass(frozen=True)
class Package:
    """What a component is, whoever stands where.

    Parameters
    ----------
    size : tuple of float, mm
        Of the case, along x, y and height.
    reach : tuple of float, mm
        Of everything with leads, along x and y.
    pieces : tuple of Piece
    paint : str
        Key of ``board_paint.PAINTS``.
    joints : tuple of Joints
    films : tuple of Film
    balls : Balls, optional
    """

    size: tuple[float, float, float]
    reach: tuple[float, float]
    pieces: tuple[Piece, ...]
    paint: str
    joints: tuple[Joints, ...] = ()
    films: tuple[Film, ...] = ()
    balls: Balls | None = None

    @property
    def joint_count(self) -> int:
        """Count joints, then balls."""
        leads = sum(len(group.places) for group in self.joints)
        return leads + (0 if self.balls is None else len(self.balls.places))

    @property
    def pads(self) -> Map:
        """Give its pads on the board (pad, 4): x, y, width along x, height along y, mm."""
        found = [_pad(place, group.pad) for group in self.joints for place in group.places.tolist()]
        found += [
            [film.x, film.y, film.width, film.height]
            for film in self.films
            if film.material == "solder"
        ]
        return as_map(found).reshape(-1, 4)


def _pad(place: list[float], pad: tuple[float, float, float]) -> list[float]:
    """Give the pad (x, y, width, height) below one joint that faces along x or y."""
    x, y, turn = place
    out_x, out_y = -np.sin(turn), np.cos(turn)
    width, inner, outer = pad
    middle, long = (outer - inner) / 2, outer + inner
    sideways = abs(out_x) > 0.5
    return [
        x + out_x * middle,
        y + out_y * middle,
        long if sideways else width,
        width if sideways else long,
    ]
