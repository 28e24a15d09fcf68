"""Corners of chessboards and ChArUco boards, in the target's own order."""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdefect.calibration._opencv import opencv
from mmdefect.calibration.drawing import dictionary
from mmdefect.calibration.target import Target

Found = tuple[NDArray[np.int64], NDArray[np.float64], bool]
_RING = 0.3
_FULL = 0.7
_WINDOW_SHARE = 0.3
_LARGEST_WINDOW = 11
_STOP = (3, 60, 1e-4)


def chessboard(grey: NDArray[np.uint8], target: Target, inverted: bool | None) -> Found | None:
    """Find all inner corners of a chessboard.

    Parameters
    ----------
    grey : array (y, x), uint8
    target : Target
    inverted : bool, optional
        Whether dark and bright are exchanged; seen by the sheet around the pattern if left out.

    Returns
    -------
    tuple of array (n,), array (n, 2), bool, or None
        Numbers, pixels, and whether dark and bright were exchanged.
    """
    cv2 = opencv()
    rows, columns = target.grid
    flags = cv2.CALIB_CB_NORMALIZE_IMAGE | cv2.CALIB_CB_ACCURACY | cv2.CALIB_CB_EXHAUSTIVE
    for picture in (grey, 255 - grey):
        there, corners = cv2.findChessboardCornersSB(picture, (columns, rows), flags=flags)
        if there:
            break
    else:
        return None
    corners = right_handed(corners.reshape(rows, columns, 2).astype(np.float64))
    corners, seen_inverted = _oriented(grey, target, corners, inverted)
    refined = subpixel(grey, corners.reshape(-1, 2), _WINDOW_SHARE * _least_gap(corners))
    return np.arange(rows * columns), refined, seen_inverted


def right_handed(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Order a grid (row, column, 2) so that its rows follow its columns clockwise."""
    right = corners[:, -1] - corners[:, 0]
    down = corners[-1] - corners[0]
    (a, b), (c, d) = right.mean(0), down.mean(0)
    return corners if a * d - b * c > 0 else corners[::-1]


def _oriented(
    grey: NDArray[np.uint8], target: Target, corners: NDArray[np.float64], inverted: bool | None
) -> tuple[NDArray[np.float64], bool]:
    """Turn a chessboard's corners so that the squares that ought to be the sheet's colour are."""
    squares = (corners[:-1, :-1] + corners[1:, :-1] + corners[:-1, 1:] + corners[1:, 1:]) / 4
    levels = _levels(grey, squares)
    odd = np.indices(levels.shape).sum(0) % 2 == 1
    sheet, printed = float(np.median(levels[odd])), float(np.median(levels[~odd]))
    around = _around(grey, corners)
    if inverted is None:
        turned = around is not None and abs(around - sheet) > abs(around - printed)
        if around is None:
            turned = (sheet > printed) != target.dark
    else:
        turned = (sheet > printed) != (target.dark != inverted)
    if not turned:
        return corners, (sheet > printed) != target.dark
    if (target.rows + target.columns) % 2:
        corners, sheet, printed = corners[::-1, ::-1], printed, sheet
    return corners, (sheet > printed) != target.dark


def _around(grey: NDArray[np.uint8], corners: NDArray[np.float64]) -> float | None:
    """Give the level of the sheet just beyond the pattern; None where it is out of the frame."""
    cv2 = opencv()
    rows, columns = corners.shape[:2]
    grid = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1).astype(float)
    matrix, _ = cv2.findHomography(grid.reshape(-1, 2), corners.reshape(-1, 2))
    if matrix is None:
        return None
    low, right, bottom = -1 - _RING, columns + _RING, rows + _RING
    x, y = np.arange(columns - 1) + 0.5, np.arange(rows - 1) + 0.5
    ring = [(a, b) for a in x for b in (low, bottom)] + [(a, b) for b in y for a in (low, right)]
    pixels = cv2.perspectiveTransform(np.array(ring)[None], matrix)[0]
    edge = np.array(grey.shape[::-1]) - 1
    seen = ((pixels > 1) & (pixels < edge - 1)).all(-1)
    return float(np.median(_levels(grey, pixels[seen]))) if seen.sum() * 3 > len(ring) else None


def _levels(grey: NDArray[np.uint8], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the grey levels (…) at the pixels nearest to places (…, 2)."""
    column, row = np.moveaxis(np.rint(places).astype(int), -1, 0)
    height, width = grey.shape
    levels: NDArray[np.float64] = grey[
        np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)
    ].astype(np.float64)
    return levels


def _least_gap(corners: NDArray[np.float64]) -> float:
    """Give the least distance of neighbours in a grid (row, column, 2), px."""
    steps = [np.linalg.norm(np.diff(corners, axis=axis), axis=-1).min() for axis in (0, 1)]
    return float(min(steps))


def subpixel(
    grey: NDArray[np.uint8], corners: NDArray[np.float64], reach: float
) -> NDArray[np.float64]:
    """Move corners (n, 2) to where the gradients around them cross.

    Parameters
    ----------
    grey : array (y, x), uint8
    corners : array (n, 2), px
    reach : float, px
        How far from each nothing but its own two edges is to be seen.

    Returns
    -------
    array (n, 2), float64, px
    """
    half = int(np.clip(reach, 2, _LARGEST_WINDOW))
    start = corners.astype(np.float32).reshape(-1, 1, 2)
    moved: NDArray[np.float32] = opencv().cornerSubPix(grey, start, (half, half), (-1, -1), _STOP)
    return moved.reshape(-1, 2).astype(np.float64)


def charuco(grey: NDArray[np.uint8], target: Target, inverted: bool | None) -> Found | None:
    """Find the inner corners of a ChArUco board beside markers that can be read.

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
    best: Found | None = None
    enough = _FULL * (target.rows - 1) * (target.columns - 1)
    for scale in (1, 2):
        for flip in (False, True) if inverted is None else (inverted,):
            found = _read(255 - grey if flip == target.dark else grey, target, scale)
            if found is not None and (best is None or len(found[0]) > len(best[0])):
                best = *found, flip
        if best is not None and len(best[0]) >= enough:
            break
    if best is None or len(best[0]) < 4:
        return None
    gaps = np.linalg.norm(best[1][:, None] - best[1][None], axis=-1)
    np.fill_diagonal(gaps, np.inf)
    clear = (target.pitch - target.marker) / (2 * target.pitch)
    reach = min(_WINDOW_SHARE, clear) * float(gaps.min())
    return best[0], subpixel(grey, best[1], reach), best[2]


def _read(
    picture: NDArray[np.uint8], target: Target, scale: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]] | None:
    """Find numbers (n,) and corners (n, 2) in a picture that is enlarged for small markers."""
    if scale > 1:
        cv2 = opencv()
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    corners, numbers, _, _ = _charuco_detector(target).detectBoard(picture)
    if numbers is None:
        return None
    order = np.argsort(numbers.ravel())
    pixels = (corners.reshape(-1, 2).astype(np.float64)[order] + 0.5) / scale - 0.5
    return numbers.ravel()[order].astype(np.int64), pixels


@cache
def _charuco_detector(target: Target) -> Any:
    """Make OpenCV's detector of a board."""
    aruco = opencv().aruco
    board = aruco.CharucoBoard(
        (target.columns, target.rows), target.pitch, target.marker, dictionary(target)
    )
    return aruco.CharucoDetector(board)
