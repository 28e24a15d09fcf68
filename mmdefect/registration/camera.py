"""Cameras: where a point of the rig falls on a sensor's frame, and which ray a pixel sees.

* Pixels are counted as OpenCV and HALCON do: the centre of the first pixel is (0, 0).
* A radiograph is a pinhole picture too: the source is the centre of projection, and the detector
  lies behind the part instead of before it. Nothing is in front of anything there.
* Lenses follow Brown and Conrady's model [1]_ or the division model [2]_, which HALCON calls
  ``area_scan_division`` and MVTec 3D-AD's ``camera_parameters.json`` uses.

References
----------
.. [1] Brown: Decentering distortion of lenses, Photogrammetric Engineering 32, 1966.
.. [2] Fitzgibbon: Simultaneous linear estimation of multiple view geometry and lens distortion,
   CVPR 2001.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mmdefect.errors import RegistrationError

Floats: TypeAlias = NDArray[np.floating[Any]]

_NEWTON_ROUNDS = 12
_ORTHONORMAL = 1e-6


@dataclass(frozen=True)
class BrownConrady:
    """Radial and tangential distortion.

    Parameters
    ----------
    k1, k2, p1, p2, k3 : float, 1
        In OpenCV's order and sense: from undistorted to distorted.
    """

    k1: float = 0.0
    k2: float = 0.0
    p1: float = 0.0
    p2: float = 0.0
    k3: float = 0.0

    @cached_property
    def reach(self) -> float:
        """The radius in normalised coordinates, 1, at which the radial polynomial turns back.

        Beyond it the model would fold points far outside the view back into the frame.
        """
        turns = np.roots([7 * self.k3, 5 * self.k2, 3 * self.k1, 1.0])
        real = turns.real[(np.abs(turns.imag) < 1e-12) & (turns.real > 0)]
        return float(np.sqrt(real.min())) if real.size else float("inf")

    def distort(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Bend normalised coordinates (…), 1, as the lens does; NaN beyond its reach."""
        inside = np.where(x * x + y * y <= self.reach**2, 1.0, np.nan)
        x, y = self._bend(x, y)
        return x * inside, y * inside

    def _bend(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Apply the polynomials."""
        r2 = x * x + y * y
        radial = 1 + r2 * (self.k1 + r2 * (self.k2 + r2 * self.k3))
        across = 2 * self.p1 * x * y + self.p2 * (r2 + 2 * x * x)
        down = self.p1 * (r2 + 2 * y * y) + 2 * self.p2 * x * y
        return x * radial + across, y * radial + down

    def undistort(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Straighten normalised coordinates (…), 1; NaN where the model folds over.

        Notes
        -----
        Newton's method on the two equations, from the distorted position.
        """
        u, v = np.array(x, dtype=np.float64), np.array(y, dtype=np.float64)
        with np.errstate(all="ignore"):
            for _ in range(_NEWTON_ROUNDS):
                du, dv = self._newton_step(u, v, x, y)
                u, v = u - du, v - dv
            lost = ~((np.abs(du) + np.abs(dv) < 1e-9) & (u * u + v * v <= self.reach**2))
        u[lost] = v[lost] = np.nan
        return u, v

    def _newton_step(self, u: Floats, v: Floats, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Solve for the step that brings the distorted (u, v) to (x, y)."""
        r2 = u * u + v * v
        radial = 1 + r2 * (self.k1 + r2 * (self.k2 + r2 * self.k3))
        slope = 2 * (self.k1 + r2 * (2 * self.k2 + 3 * r2 * self.k3))
        found_x, found_y = self._bend(u, v)
        right, down = found_x - x, found_y - y
        xx = radial + slope * u * u + 2 * self.p1 * v + 6 * self.p2 * u
        xy = slope * u * v + 2 * self.p1 * u + 2 * self.p2 * v
        yy = radial + slope * v * v + 6 * self.p1 * v + 2 * self.p2 * u
        determinant = xx * yy - xy * xy
        return (right * yy - down * xy) / determinant, (down * xx - right * xy) / determinant


@dataclass(frozen=True)
class Division:
    """HALCON's division model: undistorted = distorted / (1 + kappa · distorted²).

    Parameters
    ----------
    kappa : float, 1
        For normalised coordinates: HALCON's kappa (1/m²) times the squared focal length (m²).
        Negative for barrel distortion.
    """

    kappa: float = 0.0

    def distort(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Bend normalised coordinates (…), 1, as the lens does; NaN beyond the model's reach."""
        with np.errstate(invalid="ignore"):
            scale = 2 / (1 + np.sqrt(1 - 4 * self.kappa * (x * x + y * y)))
        return x * scale, y * scale

    def undistort(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Straighten normalised coordinates (…), 1; NaN beyond the model's reach."""
        bulge = self.kappa * (x * x + y * y)
        with np.errstate(divide="ignore"):
            scale = np.where(np.abs(bulge) < 1, 1 / (1 + bulge), np.nan)
        return x * scale, y * scale


@dataclass(frozen=True)
class Pose:
    """Where a camera or a part stands: x_camera = rotation · x_rig + translation.

    Parameters
    ----------
    rotation : array (3, 3), float64
        Orthonormal, determinant 1.
    translation : array (3,), float64, mm

    Raises
    ------
    RegistrationError
        When the rotation is none.
    """

    rotation: NDArray[np.float64] = field(default_factory=lambda: np.eye(3))
    translation: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))

    def __post_init__(self) -> None:
        """Refuse what is no rotation."""
        rotation = np.asarray(self.rotation, dtype=np.float64)
        translation = np.asarray(self.translation, dtype=np.float64)
        if rotation.shape != (3, 3) or translation.shape != (3,):
            raise RegistrationError(
                f"a pose has a rotation of shape {rotation.shape} and a translation of shape "
                f"{translation.shape}; (3, 3) and (3,) were promised"
            )
        off = np.abs(rotation @ rotation.T - np.eye(3)).max()
        if not off < _ORTHONORMAL or np.linalg.det(rotation) < 0:
            raise RegistrationError(
                "a pose's rotation is no rotation (its rows are not orthonormal or are mirrored); "
                "give a matrix with determinant 1"
            )
        object.__setattr__(self, "rotation", rotation)
        object.__setattr__(self, "translation", translation)

    def __eq__(self, other: object) -> bool:
        """Compare numbers, since arrays do not."""
        return (
            isinstance(other, Pose)
            and np.array_equal(self.rotation, other.rotation)
            and np.array_equal(self.translation, other.translation)
        )

    __hash__ = None  # type: ignore[assignment]

    def into(self, points: Floats) -> Floats:
        """Bring points (…, 3), mm, from the rig's frame into the camera's."""
        turn, shift = (part.astype(points.dtype) for part in (self.rotation, self.translation))
        return points @ turn.T + shift

    def out_of(self, points: Floats) -> Floats:
        """Bring points (…, 3), mm, from the camera's frame into the rig's."""
        turn, shift = (part.astype(points.dtype) for part in (self.rotation, self.translation))
        return (points - shift) @ turn

    @property
    def centre(self) -> NDArray[np.float64]:
        """The camera's centre of projection (3,) in the rig's frame, mm."""
        centre: NDArray[np.float64] = -self.rotation.T @ self.translation
        return centre


@dataclass(frozen=True)
class Camera:
    """A camera, a scanner's camera, or an X-ray source with its detector.

    Parameters
    ----------
    height, width : int, px
    fx, fy : float, px
        Focal lengths.
    cx, cy : float, px
        Principal point; pixel centres have whole numbers.
    lens : BrownConrady or Division
    pose : Pose
        From the rig's frame into the camera's: x right, y down, z away from it.
    through : bool
        Whether it looks through the part, as an X-ray panel does: it is then never occluded.
    points_in : str
        In whose frame a scanner's points are written: ``camera`` or ``rig``.
    """

    height: int
    width: int
    fx: float
    fy: float
    cx: float
    cy: float
    lens: BrownConrady | Division = BrownConrady()
    pose: Pose = field(default_factory=Pose)
    through: bool = False
    points_in: str = "camera"

    @property
    def centre(self) -> NDArray[np.float64]:
        """The centre of projection (3,) in the rig's frame, mm."""
        return self.pose.centre

    def project(self, points: Floats) -> Floats:
        """Find where points fall on the frame.

        Parameters
        ----------
        points : array (…, 3), floating, mm
            In the rig's frame.

        Returns
        -------
        array (…, 2), same dtype, px
            Column and row; NaN for points that are not in front of the camera, or beyond the
            lens model's reach. They may lie outside the frame. Computed in float64.
        """
        x, y, z = np.moveaxis(self.pose.into(points.astype(np.float64, copy=False)), -1, 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            ahead = np.where(z > 0, z, np.nan)
            x, y = self.lens.distort(x / ahead, y / ahead)
        return np.stack([self.fx * x + self.cx, self.fy * y + self.cy], axis=-1).astype(
            points.dtype, copy=False
        )

    def directions(self, pixels: Floats | None = None) -> NDArray[np.float64]:
        """Give the direction in which a pixel looks.

        Parameters
        ----------
        pixels : array (…, 2), floating, px, optional
            Column and row; all pixel centres of the frame when left out.

        Returns
        -------
        array (…, 3) or (height, width, 3), float64
            Unit vectors in the rig's frame, from ``centre`` outwards.
        """
        if pixels is None:
            grid = np.meshgrid(np.arange(self.width), np.arange(self.height))
            pixels = np.stack(grid, axis=-1)
        pixels = pixels.astype(np.float64, copy=False)
        x, y = self.lens.undistort(
            (pixels[..., 0] - self.cx) / self.fx, (pixels[..., 1] - self.cy) / self.fy
        )
        rays = np.stack([x, y, np.ones_like(x)], axis=-1)
        rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
        turned: NDArray[np.float64] = rays @ self.pose.rotation
        return turned
