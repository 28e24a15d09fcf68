"""Ground truth as boxes in a text file: one file a series, one row a box.

Older data sets and many labelling tools give boxes instead of masks. A row names the frame by its
number, which is the number that ends the frame's name. Corners are counted as the card says and
leave here as half-open pixel ranges, so that a box's height is bottom − top.
"""

import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from mmdefect.errors import CardError, SensorError

COLUMNS = ("frame", "left", "right", "top", "bottom")
EDGES = ("top", "left", "bottom", "right")
_MOST_BYTES = 64 << 20

Box = tuple[float, float, float, float]
"""Top, left, bottom, right in pixels of the reference, half open: bottom and right lie outside."""


def check_columns(columns: Sequence[str]) -> tuple[str, ...]:
    """Refuse an order of columns that does not name each of ``COLUMNS`` once.

    Parameters
    ----------
    columns : sequence of str
        The card's order.

    Returns
    -------
    tuple of str

    Raises
    ------
    CardError
        When one is missing, doubled or unknown.
    """
    if sorted(columns) != sorted(COLUMNS):
        raise CardError(
            f"the columns {', '.join(columns)} were found; {', '.join(COLUMNS)} in any order, "
            "once each, were promised"
        )
    return tuple(columns)


def read_boxes(path: Path, columns: Sequence[str], origin: float = 1.0) -> dict[int, list[Box]]:
    """Read the boxes of one series.

    Parameters
    ----------
    path : Path
        Text; numbers separated by blanks, commas or semicolons, five a row.
    columns : sequence of str
        What each number is, as ``check_columns`` wants it.
    origin : float
        The coordinate of the first pixel: 1 as in MATLAB, 0 as in most other programs. The last
        pixel of a box is part of it.

    Returns
    -------
    dict of int to list of Box
        By frame number; frames without a row are absent.

    Raises
    ------
    SensorError
        When the file cannot be read, or a row is no box.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise SensorError(f"{path}: holds more than {_MOST_BYTES >> 20} MiB; is it a box list?")
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise SensorError(f"{path}: cannot be read: {error.strerror}; copy it again") from error
    found: dict[int, list[Box]] = {}
    for number, line in enumerate(lines, 1):
        words = re.split(r"[\s,;]+", line.strip())
        if words != [""]:
            frame, box = _row(words, columns, origin, f"{path}: row {number}")
            found.setdefault(frame, []).append(box)
    return found


def _row(words: list[str], columns: Sequence[str], origin: float, where: str) -> tuple[int, Box]:
    """Read one row."""
    try:
        named = dict(zip(columns, map(float, words), strict=True))
    except ValueError as error:
        raise SensorError(
            f"{where} is {' '.join(words)[:60]!r}; the numbers {', '.join(columns)} were promised"
        ) from error
    if not all(map(math.isfinite, named.values())) or (
        named["right"] < named["left"] or named["bottom"] < named["top"]
    ):
        raise SensorError(
            f"{where} is no box ({' '.join(words)[:60]}); is the order of the columns another?"
        )
    top, left = named["top"] - origin, named["left"] - origin
    return int(named["frame"]), (
        top,
        left,
        named["bottom"] - origin + 1,
        named["right"] - origin + 1,
    )


def frame_number(capture: str) -> int | None:
    """Give the number that ends a capture's name.

    Examples
    --------
    >>> frame_number("C0047_0021"), frame_number("left")
    (21, None)
    """
    found = re.search(r"(\d+)\Z", capture)
    return int(found[1]) if found else None


def box_mask(boxes: Iterable[Box], size: tuple[int, int]) -> np.ndarray:
    """Fill boxes.

    Parameters
    ----------
    boxes : iterable of Box
    size : (int, int)
        Height and width in pixels.

    Returns
    -------
    ndarray (y, x), bool
        True for every pixel whose centre lies in a box.
    """
    mask = np.zeros(size, dtype=bool)
    for box in boxes:
        top, left, bottom, right = (max(0, math.ceil(edge - 0.5)) for edge in box)
        mask[top:bottom, left:right] = True
    return mask


def with_boxes(scene: xr.Dataset, boxes: Iterable[Box]) -> xr.Dataset:
    """Write boxes down in a scene.

    Parameters
    ----------
    scene : Dataset
    boxes : iterable of Box

    Returns
    -------
    Dataset
        With ``boxes`` (box, edge), float64, pixels of the reference; edges as in ``EDGES``.
    """
    edges = np.array(list(boxes), dtype=np.float64).reshape(-1, len(EDGES))
    return scene.assign_coords(edge=list(EDGES)).assign(boxes=(("box", "edge"), edges))
