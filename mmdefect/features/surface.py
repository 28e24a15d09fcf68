"""Patch features of a surface: its height, curvature and roughness at several sizes.

Few numbers that have a meaning: where FPFH say that a surface is different, these say how. Height
and curvature are signed, so that a bump is no dent. The share of measured points is a feature too,
because a part that shines or shades differently loses other points.
"""

from collections.abc import Sequence

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch.nn.functional import adaptive_avg_pool2d

from mmdefect.errors import FeatureError
from mmdefect.features._geometry import (
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
from mmdefect.features._patches import pool_neighbours
from mmdefect.geometry.curvature import mean_curvature
from mmdefect.geometry.normals import local_planes
from mmdefect.geometry.reference import height_above_reference

__all__ = ["Surface"]

_PITCHES = (3.0, 6.0, 12.0)


class Surface:
    """Height, roughness and curvature of a surface.

    Three numbers a patch, then four at each radius:

    * height above the reference surface, its spread within the patch, share of measured points;
    * signed mean curvature, its size, roughness (root-mean-square distance from the local
      plane), surface variation.

    Parameters
    ----------
    scales : float or sequence of float, mm, optional
        Radii of the surroundings. Without them, 3, 6 and 12 pixel pitches of good parts,
        whatever their unit.
    degree : int
        Of the polynomial that is the reference surface: 1, a plane, to 4.
    stride : int
        Pixels between patches, or a little less where it does not divide the picture.

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
        scales: float | Sequence[float] | None = None,
        degree: int = 1,
        stride: int = 4,
    ) -> None:
        several = scales if isinstance(scales, (list, tuple)) else [scales]
        lengths = [check_length("scales", length) for length in several]
        self.scales = tuple(length for length in lengths if length is not None)
        self.degree = degree
        self.stride = check_count("stride", stride)
        self.scale: tuple[float, ...] | None = None
        if degree not in range(1, 5) or isinstance(degree, bool):
            raise FeatureError(
                f"degree is {degree!r}, but 1 (a plane) to 4 was promised; correct the spec of "
                "the features"
            )

    @property
    def name(self) -> str:
        """The spec that makes this extractor again."""
        options = {
            "scales": ",".join(f"{length:g}" for length in self.scales),
            "degree": "" if self.degree == 1 else str(self.degree),
            "stride": "" if self.stride == 4 else str(self.stride),
        }
        told = "&".join(f"{key}={value}" for key, value in options.items() if value)
        return "surface" + (f"?{told}" if told else "")

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
            too far apart for the smallest radius.
        """
        pitch = pitch_of([self._cloud(frame) for frame in frames])
        if np.isfinite(pitch):
            check_radius(self.name, min(self.scales, default=np.inf), pitch)
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
            NaN in every feature of a patch that is mostly blind.

        Raises
        ------
        FeatureError
            As in ``adapt``.
        """
        cloud = self._cloud(frame)
        patches = patch_counts(cloud, self.stride)
        pitch = pitch_of([cloud]) if self.scale is None else self.scale[0]
        check_radius(self.name, min(self.scales, default=np.inf), pitch)
        height = height_above_reference(cloud, self.degree)
        exact = height.astype(np.float64)
        level, square = pooled(np.stack([exact, exact**2]), *patches)
        spread = (square - level**2).clamp_min(0).sqrt()
        measured = torch.from_numpy(np.isfinite(cloud[:1])).float()
        share = pool_neighbours(adaptive_avg_pool2d(measured, patches))
        described = [level[None].float(), spread[None].float(), share]
        for radius in self.scales or tuple(factor * pitch for factor in _PITCHES):
            described.append(pooled(_bent(cloud, radius, pitch), *patches))
        radii = (len(described) - 3) * ["curvature", "curvature", "roughness", "variation"]
        return labelled(torch.cat(described), cloud, ["height", "spread", "measured", *radii])

    def _cloud(self, frame: xr.DataArray) -> NDArray[np.float32]:
        return cloud_of(frame, self.name, bool(self.scales))


def _bent(cloud: NDArray[np.float32], radius: float, pitch: float) -> NDArray[np.float32]:
    """Give curvature, its size, roughness and variation of every point, or every n-th."""
    if not np.isfinite(pitch):
        return np.full((4, 1, 1), np.nan, dtype=np.float32)
    points = thinned(cloud, thinning(radius, pitch))
    planes = local_planes(points, radius)
    curvature = mean_curvature(points, planes.normals, radius)
    return np.stack([curvature, np.abs(curvature), planes.roughness, planes.variation])
