"""The fixture: how a part lies in the station, and the dark table below it.

The part's place jitters from capture to capture, the table's does not: it is given in the part's
coordinates only because everything is. It is thin plastic, so that X-rays hardly feel it.
"""

from dataclasses import dataclass
from math import cos, sin

import numpy as np

from mmdefect.registration import Pose
from mmdefect.simulate.body import Body, Finish
from mmdefect.simulate.raster import as_map
from mmdefect.simulate.shapes import box
from mmdefect.simulate.station import DISTANCE_MM

SHIFT_MM = 0.5
TURN_DEG = 1.0
TILT_DEG = 0.3
LIFT_MM = 0.1
TABLE_MM = 170.0
TABLE_THICKNESS_MM = 3.0
TABLE = Finish((0.035, 0.035, 0.037), roughness=0.55, specular=0.04, emissivity=0.95)


@dataclass(frozen=True)
class Standing:
    """How one part lies in the fixture.

    Parameters
    ----------
    shift_x, shift_y : float, mm
        Of the part against the fixture.
    lift : float, mm
        Of the fixture towards the sensors.
    turn, tilt_x, tilt_y : float, rad
        In the plane, from x towards y; about x; about y.
    """

    shift_x: float = 0.0
    shift_y: float = 0.0
    lift: float = 0.0
    turn: float = 0.0
    tilt_x: float = 0.0
    tilt_y: float = 0.0

    @property
    def pose(self) -> Pose:
        """Give the pose that brings (x, y, -height) of the part into the rig's frame."""
        a, b, c = self.tilt_x, self.tilt_y, self.turn
        about_x = np.array([[1, 0, 0], [0, cos(a), -sin(a)], [0, sin(a), cos(a)]])
        about_y = np.array([[cos(b), 0, sin(b)], [0, 1, 0], [-sin(b), 0, cos(b)]])
        about_z = np.array([[cos(c), -sin(c), 0], [sin(c), cos(c), 0], [0, 0, 1]])
        shift = np.array([self.shift_x, self.shift_y, DISTANCE_MM - self.lift])
        return Pose(about_z @ about_y @ about_x, shift)


def draw_standing(rng: np.random.Generator) -> Standing:
    """Draw how a part lies: ±0.5 mm, ±1° in the plane, ±0.3° of tilt, ±0.1 mm of the fixture."""
    limits = np.array([SHIFT_MM, SHIFT_MM, LIFT_MM, *np.deg2rad([TURN_DEG, TILT_DEG, TILT_DEG])])
    return Standing(*(float(value) for value in rng.uniform(-limits, limits)))


def table(standing: Standing, below: float) -> Body:
    """Lay the table under a part.

    Parameters
    ----------
    standing : Standing
        Of the part.
    below : float, mm
        From the part's nominal top plane down to the table.

    Returns
    -------
    Body
        Level in the rig's frame whatever the part's pose.
    """
    vertices, triangles = box(TABLE_MM, TABLE_MM, -below - TABLE_THICKNESS_MM, -below)
    x, y, height = np.moveaxis(vertices.astype(np.float64), -1, 0)
    in_rig = np.stack([x, y, DISTANCE_MM - standing.lift - height], -1)
    own = standing.pose.out_of(in_rig) * np.array([1.0, 1.0, -1.0])
    return Body("fixture", as_map(own), triangles, "abs", TABLE)
