"""Patterns: pictures for the projector, written with the description that decodes what they show.

A pixel of the projector shows brightness, not counts: a projector's gamma bends fringes. Eight
steps and more are blind to what gamma 2.2 does (only its seventh harmonic and beyond remain), so
that the patterns are left as they are unless the projector's gamma is given.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmdefect.structured.codes import AXES, Code, Group, complete
from mmdefect.structured.stack import Stack, write_stack

Counts = NDArray[np.uint8]


def lines(code: Code, group: Group) -> NDArray[np.float64]:
    """Give the brightness along the coded axis.

    Parameters
    ----------
    code : Code
    group : Group

    Returns
    -------
    array (frame, px), float64, 1
        From 0 to 1; of a reference one pixel, which stands for all.

    Notes
    -----
    Fringes are ½ + ½ cos(2π x / period − 2π k / steps) at the centre x of a pixel. Cell c of the
    stripes holds the pixels whose centres x have c ≤ (x + ½) / cell < c + 1.
    """
    if group.kind == "reference":
        return np.array([[1.0], [0.0]])
    place = np.arange(code.side(group.axis), dtype=np.float64)
    if group.kind == "fringe":
        shift = np.arange(code.steps)[:, None] / code.steps
        turns = place / code.periods[group.index] - shift
        return 0.5 + 0.5 * np.cos(2 * np.pi * turns)
    cell = np.floor((place + 0.5) / code.cell).astype(np.int64)
    word = cell ^ (cell >> 1) if code.name == "gray" else cell
    bit = (word >> group.index & 1).astype(np.float64)
    return np.stack([bit, 1 - bit])


def draw(code: Code) -> Iterator[Counts]:
    """Draw the patterns.

    Parameters
    ----------
    code : Code

    Yields
    ------
    array (y, x), uint8
        In the order of ``code.groups()``; full brightness is 255.
    """
    columns, rows = code.size
    for group in code.groups():
        counts = np.rint(255 * lines(code, group) ** (1 / code.gamma)).astype(np.uint8)
        for line in counts:
            line = line[:, None] if group.axis == AXES[1] else line[None, :]
            yield np.ascontiguousarray(np.broadcast_to(line, (rows, columns)))


def write_patterns(
    folder: str | Path,
    size: tuple[int, int],
    code: str = "gray",
    *,
    periods: Sequence[float] = (18.0,),
    steps: int = 8,
    axes: Sequence[str] = ("column",),
    gamma: float = 1.0,
) -> Stack:
    """Write the patterns of a code for a projector.

    Parameters
    ----------
    folder : str or Path
        Made when it is not there; receives ``000.png``, … and ``stack.toml``.
    size : (int, int), px
        The projector's columns and rows.
    code : {"gray", "binary", "temporal", "heterodyne", "number"}
    periods : sequence of float, px
        Of the fringes; where a code needs several and one is given, the others are chosen. Empty
        for stripes alone, down to single pixels.
    steps : int
        Shifts of a fringe, 3 to 64.
    axes : sequence of str
        ``column``, ``row`` or both.
    gamma : float, 1
        The projector's, to be undone.

    Returns
    -------
    Stack
        Of the patterns. A camera's frames of the same names beside a copy of ``stack.toml`` are a
        stack too.

    Raises
    ------
    SensorError
        When the numbers make no code.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     stack = write_patterns(folder, (64, 48), "heterodyne", periods=(16,))
    ...     [round(period, 2) for period in stack.code.periods], len(stack.code)
    ([13.57, 16.96, 22.61], 26)
    """
    from PIL import Image

    whole = complete(code, size, periods, steps=steps, axes=tuple(axes), gamma=gamma)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{number:03d}.png" for number in range(len(whole))]
    for name, picture in zip(names, draw(whole), strict=True):
        Image.fromarray(picture).save(folder / name)
    return write_stack(folder, whole, [names])
