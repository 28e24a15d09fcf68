"""Centres of the circles of a grid, as centroids of light rather than of thresholded pixels.

A blob detector's centres are those of its binary contours, a tenth of a pixel off. The detector
only tells which circle is which here; the centre is the centroid of the grey levels around it.
A circle's picture is an ellipse whose centre is not the picture of the circle's centre: that part
is geometry, and is corrected where the poses are known.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdefect.calibration._opencv import opencv
from mmdefect.calibration._squares import Found, right_handed
from mmdefect.calibration.target import Target

_LEAST_AREA = 9.0
_ROUNDS = 3


def circles(grey: NDArray[np.uint8], target: Target, inverted: bool | None) -> Found | None:
    """Find all circles of a grid.

    Parameters
    ----------
    grey : array (y, x), uint8
    target : Target
    inverted : bool, optional
        Whether dark and bright are exchanged; both are tried if left out.

    Returns
    -------
    tuple of array (n,), array (n, 2), bool, or None
        Numbers, pixels, and whether dark and bright were exchanged.
    """
    cv2 = opencv()
    rows, columns = target.grid
    symmetric = target.kind == "circles"
    flag = cv2.CALIB_CB_SYMMETRIC_GRID if symmetric else cv2.CALIB_CB_ASYMMETRIC_GRID
    for flip in (False, True) if inverted is None else (inverted,):
        picture = 255 - grey if flip == target.dark else grey
        for flags in (flag, flag | cv2.CALIB_CB_CLUSTERING):
            there, centres = cv2.findCirclesGrid(
                picture, (columns, rows), flags=flags, blobDetector=_blobs(grey.shape)
            )
            if there:
                grid = right_handed(centres.reshape(rows, columns, 2).astype(np.float64))
                return np.arange(rows * columns), _centroids(picture, grid, target), flip
    return None


def _blobs(shape: tuple[int, ...]) -> Any:
    """Make OpenCV's detector of dark blobs up to a fiftieth of the frame."""
    cv2 = opencv()
    told = cv2.SimpleBlobDetector_Params()
    told.minArea, told.maxArea = _LEAST_AREA, shape[0] * shape[1] / 50
    told.minDistBetweenBlobs = 3.0
    told.minConvexity, told.blobColor = 0.85, 0
    return cv2.SimpleBlobDetector_create(told)


def _centroids(
    picture: NDArray[np.uint8], grid: NDArray[np.float64], target: Target
) -> NDArray[np.float64]:
    """Move centres (row, column, 2) of dark circles to their centroids (n, 2)."""
    step = 2 * target.pitch if target.kind == "asymmetric-circles" else target.pitch
    across = np.linalg.norm(np.gradient(grid, axis=1), axis=-1)
    down = np.linalg.norm(np.gradient(grid, axis=0), axis=-1)
    if target.kind == "asymmetric-circles":
        down = down / np.sqrt(2) * 2
    gap = (step - target.diameter) / 2 if target.kind == "circles" else target.pitch * 0.2
    reach = (target.diameter / 2 + min(gap, target.diameter / 4)) / step
    sizes = np.maximum(np.maximum(across, down) * reach, 3.0)
    found = [
        _centroid(picture, centre, size)
        for centre, size in zip(grid.reshape(-1, 2), sizes.ravel(), strict=True)
    ]
    return np.array(found)


def _centroid(
    picture: NDArray[np.uint8], centre: NDArray[np.float64], reach: float
) -> NDArray[np.float64]:
    """Give the centroid (2,) of darkness within `reach` pixels; NaN where that leaves the frame."""
    for _ in range(_ROUNDS):
        low = np.floor(centre - reach - 1).astype(int)
        high = np.ceil(centre + reach + 2).astype(int)
        if (low < 0).any() or (high[::-1] > picture.shape).any():
            return np.full(2, np.nan)
        window = picture[low[1] : high[1], low[0] : high[0]].astype(np.float64)
        rows, columns = np.mgrid[low[1] : high[1], low[0] : high[0]]
        near = np.clip(reach + 0.5 - np.hypot(columns - centre[0], rows - centre[1]), 0, 1)
        sheet, ink = np.percentile(window[near > 0], [90, 5])
        weights = near * np.clip((sheet - window) / max(sheet - ink, 1.0) - 0.1, 0, None)
        if not weights.sum() > 0:
            return np.full(2, np.nan)
        centre = np.array([(weights * columns).sum(), (weights * rows).sum()]) / weights.sum()
    return centre
