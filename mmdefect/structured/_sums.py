"""Sums over the frames of one exposure, and the places that follow from them.

Frames are taken in group by group and need not be kept. The sums of a pixel fill some 40 bytes,
however many frames there are.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdefect.jit import in_bands
from mmdefect.structured import _loops as loops
from mmdefect.structured.codes import Code, Group
from mmdefect.structured.limits import Limits
from mmdefect.structured.unwrap import PER_PX, chain, table

Map = NDArray[np.float32]
_NO_RUNS = np.zeros((1, 1), np.int16)
_NO_MARGINS = np.zeros((3, 0, 0), np.float32)


def gain(code: Code) -> float:
    """Give by how much decoding lifts modulation over the noise of one count.

    Parameters
    ----------
    code : Code

    Returns
    -------
    float, 1
    """
    return float(np.sqrt(code.steps / 2)) if code.periods else float(np.sqrt(2))


class Sums:
    """Sums over the frames of one exposure, of some rows.

    Parameters
    ----------
    code : Code
    shape : (int, int), px
    dtype : dtype
        Of the frames.
    bands : int
        Threads that share the rows; 1 where the caller shares out strips.
    """

    def __init__(self, code: Code, shape: tuple[int, int], dtype: Any, bands: int) -> None:
        self._code, self._shape, self._bands = code, shape, bands
        self._peak = np.zeros(shape, dtype)
        self._amplitude = np.zeros(shape, np.float32)
        self._words = {axis: np.zeros(shape, np.int32) for axis in code.axes}
        self._margins = {
            axis: np.full((3, *shape), np.inf, np.float32) if code.striped else _NO_MARGINS
            for axis in code.axes
        }
        count = len(code.periods)
        self._waves = {axis: np.zeros((2, count, *shape), np.float32) for axis in code.axes}
        angles = 2 * np.pi * np.arange(code.steps) / code.steps
        self._cosines, self._sines = (
            trace(angles).astype(np.float32) for trace in (np.cos, np.sin)
        )

    def add(self, group: Group, frames: NDArray[Any], first: int) -> None:
        """Take frames (frame, y, x) of a group in, from its ``first``."""
        if group.kind == "reference":
            self._run(loops.add_reference, frames, self._amplitude)
        elif group.kind == "stripe":
            self._run(
                loops.add_stripe, frames, self._code.name == "gray", group.index == 0,
                self._words[group.axis], self._amplitude, self._margins[group.axis], self._peak,
            )  # fmt: skip
        else:
            part = slice(first, first + len(frames))
            across, along = self._waves[group.axis][:, group.index]
            self._run(
                loops.add_fringe, frames, self._cosines[part], self._sines[part], across, along,
                self._peak,
            )  # fmt: skip

    def _run(self, loop: Any, *arguments: Any) -> None:
        """Run a loop over the rows."""
        in_bands(loop, self._shape[0], *arguments, bands=self._bands)

    def locate(self, limits: Limits, level: int) -> tuple[Map, NDArray[np.uint8]]:
        """Give places and spreads of every axis and the modulation (map, y, x), and flags."""
        maps = np.empty((2 * len(self._code.axes) + 1, *self._shape), np.float32)
        flags = np.zeros(self._shape, np.uint8)
        strengths = np.empty((len(self._code.axes), *self._shape), np.float32)
        for number, axis in enumerate(self._code.axes):
            found = maps[2 * number], maps[2 * number + 1], strengths[number], flags
            if self._code.periods:
                self._locate_fringes(axis, limits, level, found)
            else:
                self._locate_cells(axis, limits, level, found)
        np.min(strengths, axis=0, out=maps[-1])
        weakest = max(limits.modulation, limits.snr * limits.noise / gain(self._code)) * level
        burnt = int(np.ceil(limits.saturation * level))
        self._run(loops.judge, self._peak, maps[-1], burnt, np.float32(weakest), flags)
        return maps, flags

    def _locate_cells(self, axis: str, limits: Limits, level: int, found: Any) -> None:
        self._run(
            loops.locate_cells, self._words[axis], self._amplitude, self._margins[axis],
            np.float32(self._code.cell), self._code.name == "gray", np.float32(limits.sure),
            np.float32(limits.noise * level), *found,
        )  # fmt: skip

    def _locate_fringes(self, axis: str, limits: Limits, level: int, found: Any) -> None:
        code = self._code
        extent = code.side(axis)
        links = [part.astype(np.float32) for part in chain(code.name, code.periods, extent)]
        prior = {"number": loops.REMAINDERS}.get(
            code.name, loops.STRIPES if code.striped else loops.NO_PRIOR
        )
        runs = table(code.periods, extent) if code.name == "number" else _NO_RUNS
        across, along = self._waves[axis]
        stripes = self._words[axis], self._amplitude, self._margins[axis], np.float32(code.cell)
        believed = [np.float32(x) for x in (limits.sure, limits.apart, limits.noise * level)]
        self._run(
            loops.locate_fringes, across, along, np.array(code.periods, np.float32), *links, prior,
            *stripes, runs, PER_PX, np.float32(extent), code.steps, *believed, *found,
        )  # fmt: skip
