"""The cloud of the 3D pane: fewer points, in the frame of the part's own plane.

A part that is ten times as wide as high shows nothing when it is turned by a few degrees. So the
cloud is given along and across its plane of least squares, and the page can exaggerate the heights
above that plane without shearing the part.
"""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

Plane = NDArray[np.float64]

SIDE = 280
"""Points along the longest side, at most."""


def cloud_of(frame: xr.DataArray, every: int | None = None) -> tuple[Plane, int] | None:
    """Thin an organised cloud out and lay it on its own plane.

    Parameters
    ----------
    frame : DataArray (axis, y, x)
        Points in any one unit; NaN where blind.
    every : int, optional
        Which rows and columns are kept; by default so many that ``SIDE`` is kept.

    Returns
    -------
    float64 array (3, y, x)
        Right, down and height towards the camera, from the cloud's middle; NaN where blind.
    int
        Every how many rows and columns a point was kept.

    None is returned when there are fewer than three points.
    """
    every = every or -(-max(frame.sizes["y"], frame.sizes["x"]) // SIDE)
    offset = every // 2
    points = frame.values[:, offset::every, offset::every].astype(np.float64)
    known = np.isfinite(points).all(axis=0)
    if known.sum() < 3:
        return None
    middle = np.median(points[:, known], axis=1)
    axes = _axes(points[:, known] - middle[:, None])
    laid = np.einsum("ij,jyx->iyx", axes, points - middle[:, None, None])
    return laid, every


def _axes(points: Plane) -> Plane:
    """Give the rows right, down and towards the camera of a cloud's own frame."""
    _, _, vectors = np.linalg.svd(np.cov(points))
    normal = vectors[2] if vectors[2, 2] < 0 else -vectors[2]
    if abs(normal[2]) < 0.2:  # no plane that faces the camera: keep the camera's axes
        normal = np.array([0.0, 0.0, -1.0])
    right = np.array([1.0, 0.0, 0.0]) - normal[0] * normal
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(right, normal), normal])
