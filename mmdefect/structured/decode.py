"""From frames to the place on the projector that each pixel of a camera sees.

* Every exposure is decoded for itself, and each pixel is taken from the strongest exposure in
  which no frame saturated it: shiny and dark parts are measured in one capture.
* Noise of the camera is a number of counts; from it follow the standard deviation of a position
  and the ratio of signal to noise.
* ``decode_files`` holds a few frames at a time. ``decode_frames`` takes a stack in memory, strip by
  strip; both run the same loops and give the same numbers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdefect.errors import SensorError
from mmdefect.jit import in_bands
from mmdefect.structured import _loops as loops
from mmdefect.structured.codes import Code, Group
from mmdefect.structured.stack import Stack, read_stack
from mmdefect.structured.unwrap import PER_PX, chain, table

Map = NDArray[np.float32]
HELD = 8
"""Frames that a streamed stack holds at a time."""
_STRIP = 8


@dataclass(frozen=True)
class Limits:
    """What a pixel must reach to be believed.

    Parameters
    ----------
    snr : float, 1
        Least ratio of signal to noise.
    modulation : float, 1
        Least modulation of the fringes, or half the contrast of stripes, as a share of the range
        of the camera's counts.
    noise : float, 1
        Standard deviation of a count, as a share of the range.
    saturation : float, 1
        Share of the range from which a count says nothing more.
    apart : float, turns
        By how much phases of several periods may disagree.
    sure : float, 1
        Least contrast of the second weakest stripe, as a share of the strongest.
    neighbours : int
        How many of a pixel's eight neighbours must lie on its surface.
    skew : float, px
        Where columns and rows were coded: by how much the projector's other axis may disagree.
    """

    snr: float = 10.0
    modulation: float = 3 / 255
    noise: float = 2 / 255
    saturation: float = 253 / 255
    apart: float = 0.12
    sure: float = 0.05
    neighbours: int = 3
    skew: float = 2.0

    def __post_init__(self) -> None:
        """Refuse what is no limit."""
        for name in ("snr", "modulation", "noise", "saturation", "apart", "sure", "skew"):
            limit = getattr(self, name)
            if not 0 <= limit < np.inf or (name in ("noise", "saturation") and limit == 0):
                raise SensorError(
                    f"{name} is {limit!r}, but a positive number was promised; correct the limits"
                )
        if not 0 <= self.neighbours <= 8:
            raise SensorError(f"neighbours is {self.neighbours!r}, but 0 to 8 was promised")


@dataclass(frozen=True)
class Decoded:
    """What a camera saw of the projector.

    Parameters
    ----------
    places : dict of str to Map (y, x), px
        By coded axis: the projector's column or row, of whatever quality.
    spreads : dict of str to Map (y, x), px
        Standard deviation that the camera's noise gives each of them.
    modulation : Map (y, x), counts
        Of the finest fringe, or half the contrast of the stripes; of the weaker axis.
    snr : Map (y, x), 1
        Signal over noise: the modulation times √(steps / 2) over the noise of a count.
    flags : array (y, x), uint8
        0 where the places can be believed; else a sum of ``DARK`` (1; shadow too), ``SATURATED``
        (2), ``UNSURE`` (4) and ``OUTSIDE`` (8, of the projector).
    """

    places: dict[str, Map]
    spreads: dict[str, Map]
    modulation: Map
    snr: Map
    flags: NDArray[np.uint8]

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Where the places can be believed (y, x)."""
        believed: NDArray[np.bool_] = self.flags == 0
        return believed


class _Sums:
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
        weakest = max(limits.modulation, limits.snr * limits.noise / _gain(self._code)) * level
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


_NO_RUNS = np.zeros((1, 1), np.int16)
_NO_MARGINS = np.zeros((3, 0, 0), np.float32)


def _gain(code: Code) -> float:
    """Give by how much decoding lifts modulation over the noise of one count."""
    return float(np.sqrt(code.steps / 2)) if code.periods else float(np.sqrt(2))


def decode_files(
    stack: Stack | str | Path, limits: Limits | None = None, *, held: int = HELD
) -> Decoded:
    """Decode a stack, holding a few of its frames at a time.

    Parameters
    ----------
    stack : Stack or path
        The stack, its description or its folder.
    limits : Limits, optional
    held : int
        Frames held at a time, 2 or more.

    Returns
    -------
    Decoded

    Raises
    ------
    SensorError
        When the stack is not as described.
    """
    if not isinstance(stack, Stack):
        stack = read_stack(stack)
    limits, code = limits or Limits(), stack.code
    kept = None
    for exposure in range(len(stack.exposures)):
        sums = _Sums(code, stack.shape, stack.dtype, 0)
        for group in code.groups():
            for first, count in _portions(group, max(held, 2)):
                frames = stack.frames(exposure, group.first + first, count)
                sums.add(group, frames, first)
        kept = _merged(kept, sums.locate(limits, stack.level), 0)
        del sums
    assert kept is not None
    return _decoded(code, limits, stack.level, *kept)


def _portions(group: Group, held: int) -> Iterator[tuple[int, int]]:
    """Cut a group into portions: first frame within it, and count."""
    for first in range(0, group.count, held):
        yield first, min(held, group.count - first)


def decode_frames(
    code: Code,
    frames: NDArray[Any] | Sequence[NDArray[Any]],
    limits: Limits | None = None,
    *,
    white: int | None = None,
) -> Decoded:
    """Decode a stack in memory.

    Parameters
    ----------
    code : Code
    frames : array (frame, y, x) or a sequence of them, uint8 or uint16
        In the order of ``code.groups()``; of one exposure, or of several.
    limits : Limits, optional
    white : int, optional
        The count at which the camera saturates; by default the largest of the frames' type.

    Returns
    -------
    Decoded

    Raises
    ------
    SensorError
        When the frames are not as the code has them.
    """
    exposures = [frames] if isinstance(frames, np.ndarray) else list(frames)
    _check_frames(code, exposures)
    limits, level = limits or Limits(), white or int(np.iinfo(exposures[0].dtype).max)
    rows, columns = exposures[0].shape[1:]
    maps = np.empty((2 * len(code.axes) + 1, rows, columns), np.float32)
    flags = np.empty((rows, columns), np.uint8)

    def decode_band(band: int, start: int, stop: int) -> None:
        """Decode rows, strip by strip."""
        for top in range(start, stop, _STRIP):
            strip = slice(top, min(top + _STRIP, stop))
            kept = None
            for exposure in exposures:
                sums = _Sums(code, (strip.stop - top, columns), exposure.dtype, 1)
                for group in code.groups():
                    part = exposure[group.first : group.first + group.count, strip]
                    sums.add(group, part, 0)
                kept = _merged(kept, sums.locate(limits, level), 1)
            assert kept is not None
            maps[:, strip], flags[strip] = kept

    in_bands(decode_band, rows)
    return _decoded(code, limits, level, maps, flags)


def _check_frames(code: Code, exposures: Sequence[NDArray[Any]]) -> None:
    """Refuse frames that are not the code's."""
    for frames in exposures:
        like = frames.shape == exposures[0].shape and frames.dtype == exposures[0].dtype
        if frames.ndim != 3 or frames.dtype not in (np.uint8, np.uint16) or not like:
            raise SensorError(
                f"{frames.dtype} of shape {frames.shape} were given, but 8 or 16-bit frames "
                "(frame, y, x), alike for all exposures, were promised"
            )
        if len(frames) != len(code):
            raise SensorError(
                f"{len(frames)} frames were given, but the code {code.name!r} shows {len(code)}; "
                "give every frame, in the order of the patterns"
            )
    if not exposures:
        raise SensorError("no exposure was given, but at least one was promised")


_Kept = tuple[Map, NDArray[np.uint8]]


def _merged(kept: _Kept | None, new: _Kept, bands: int) -> _Kept:
    """Keep the better of two exposures, pixel by pixel."""
    if kept is None:
        return new
    in_bands(loops.keep_better, len(new[1]), *new, *kept, bands=bands)
    return kept


def _decoded(
    code: Code, limits: Limits, level: int, maps: Map, flags: NDArray[np.uint8]
) -> Decoded:
    """Name the maps."""
    snr = maps[-1] * np.float32(_gain(code) / (limits.noise * level))
    return Decoded(
        places={axis: maps[2 * number] for number, axis in enumerate(code.axes)},
        spreads={axis: maps[2 * number + 1] for number, axis in enumerate(code.axes)},
        modulation=maps[-1],
        snr=snr,
        flags=flags,
    )
