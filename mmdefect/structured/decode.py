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
from mmdefect.structured._sums import Sums, gain
from mmdefect.structured.codes import Code, Group
from mmdefect.structured.limits import Limits
from mmdefect.structured.stack import Stack, read_stack

__all__ = ["HELD", "Decoded", "Limits", "decode_files", "decode_frames"]

Map = NDArray[np.float32]
HELD = 8
"""Frames that a streamed stack holds at a time."""
_STRIP = 8


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
        sums = Sums(code, stack.shape, stack.dtype, 0)
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
                sums = Sums(code, (strip.stop - top, columns), exposure.dtype, 1)
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
    snr = maps[-1] * np.float32(gain(code) / (limits.noise * level))
    return Decoded(
        places={axis: maps[2 * number] for number, axis in enumerate(code.axes)},
        spreads={axis: maps[2 * number + 1] for number, axis in enumerate(code.axes)},
        modulation=maps[-1],
        snr=snr,
        flags=flags,
    )
