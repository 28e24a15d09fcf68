"""Patch features of shape: fast point feature histograms, averaged over patches.

FPFH tell how the surface bends around a point and nothing else: they do not change when a part is
moved or turned, and so find a dent wherever it is. ``mmdefect.geometry.fpfh`` computes them on
the grid.
"""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mmdefect.features._geometry import (
    USUAL_PITCHES,
    check_count,
    check_length,
    check_radius,
    cloud_of,
    labelled,
    patch_counts,
    pitch_of,
    pooled,
    thinned,
    thinning,
)
from mmdefect.geometry.fpfh import fpfh
from mmdefect.geometry.normals import local_planes

__all__ = ["Fpfh"]

_ANGLES = ("alpha", "phi", "theta")  # the three histograms, as the paper names their angles


class Fpfh:
    """Fast point feature histograms, 33 numbers a patch.

    Parameters
    ----------
    radius : float, mm, optional
        A neighbour is a point at most this far away. Without it, six pixel pitches of good
        parts, whatever their unit.
    normals : float, mm, optional
        Radius of the planes that give the normals; half of `radius`, and two steps at least,
        if not told.
    stride : int
        Pixels between patches, or a little less where it does not divide the picture.
    thin : int, optional
        Rows and columns from one described point to the next; if not told, so many that the
        radius spans 4.5 to 9 steps.

    Raises
    ------
    FeatureError
        When an option is not of its kind.

    Attributes
    ----------
    scale : tuple of float or None
        The pixel pitch of good parts, in the unit of the points, once ``adapt`` has seen them.
    """

    def __init__(
        self,
        radius: float | None = None,
        normals: float | None = None,
        stride: int = 4,
        thin: int | None = None,
    ) -> None:
        self.radius = check_length("radius", radius)
        self.normals = check_length("normals", normals)
        self.stride = check_count("stride", stride)
        self.thin = None if thin is None else check_count("thin", thin)
        self.scale: tuple[float, ...] | None = None

    @property
    def name(self) -> str:
        """The spec that makes this extractor again."""
        options = {"radius": self.radius, "normals": self.normals, "thin": self.thin}
        told = [f"{key}={value:g}" for key, value in options.items() if value is not None]
        told += [] if self.stride == 4 else [f"stride={self.stride}"]
        return "fpfh" + ("?" + "&".join(told) if told else "")

    def adapt(self, frames: Sequence[xr.DataArray]) -> None:
        """Measure the pixel pitch of good parts.

        Parameters
        ----------
        frames : sequence of DataArray (axis, y, x)
            Of one scanner.

        Raises
        ------
        FeatureError
            When they are no points, have no unit though lengths are in mm, or their pixels are
            too far apart for the radius.
        """
        pitch = pitch_of([self._cloud(frame) for frame in frames])
        if np.isfinite(pitch):
            check_radius(self.name, self.radius or np.inf, pitch)
            self.scale = (pitch,)

    def features(self, frame: xr.DataArray) -> xr.DataArray:
        """Describe patches.

        Parameters
        ----------
        frame : DataArray (axis, y, x), float32
            Organised points; NaN where blind.

        Returns
        -------
        DataArray (feature, y, x), float32
            NaN in every feature of a patch that is mostly blind, or no point of which has
            neighbours.

        Raises
        ------
        FeatureError
            As in ``adapt``.
        """
        cloud = self._cloud(frame)
        pitch = pitch_of([cloud]) if self.scale is None else self.scale[0]
        check_radius(self.name, self.radius or np.inf, pitch)
        described = self._described(cloud, pitch)
        pooled_over = pooled(described, *patch_counts(cloud, self.stride))
        return labelled(pooled_over, cloud, np.repeat(_ANGLES, len(described) // 3).tolist())

    def _cloud(self, frame: xr.DataArray) -> NDArray[np.float32]:
        return cloud_of(frame, self.name, bool(self.radius or self.normals))

    def _described(self, cloud: NDArray[np.float32], pitch: float) -> NDArray[np.float32]:
        """Describe every point, or every n-th."""
        if not np.isfinite(pitch):
            return np.full((33, 1, 1), np.nan, dtype=np.float32)
        radius = self.radius or USUAL_PITCHES * pitch
        step = self.thin or thinning(radius, pitch)
        points = thinned(cloud, step)
        near = self.normals or max(radius / 2, 2 * step * pitch)
        return fpfh(points, local_planes(points, near).normals, radius)
