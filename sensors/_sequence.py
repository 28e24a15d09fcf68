"""Options of a sequence: which method turns its frames into channels, and what it has to know."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mmdefect.errors import CardError, SensorError
from mmdefect.thermography import lockin, principal_components, pulsed_phase, reconstruction

_NEEDED = {
    "lockin": ("frame_rate", "frequency"),
    "ppt": ("frame_rate", "frequency"),
    "pct": (),
    "tsr": ("frame_rate", "times", "first"),
}
_ALLOWED = {
    "lockin": {"first"},
    "ppt": {"first"},
    "pct": {"first", "components"},
    "tsr": {"degree", "delay"},
}
_COUNTS = {"first": (0, 1_000_000), "components": (1, 100), "degree": (3, 9)}
_LISTS = {"frequency", "times"}


class Derivation:
    """Turns a sequence into channels.

    Parameters
    ----------
    options : mapping
        ``method``: ``"lockin"``, ``"ppt"`` (pulsed phase), ``"pct"`` (principal components) or
        ``"tsr"`` (signal reconstruction). ``frame_rate`` (Hz). ``frequency`` (Hz; of ppt a list).
        ``first``: the first frame that is used, counted from 0; of flashes the first after the
        flash, and for tsr the frames before it are the cold part. ``components``: how many (3).
        ``times`` (s since the flash), ``degree`` (6) and ``delay`` (s between the flash and frame
        ``first``; one over the rate) of tsr.

    Raises
    ------
    CardError
        When one lacks, is unknown to the method, or not of its kind.
    """

    def __init__(self, options: object) -> None:
        if not isinstance(options, Mapping) or options.get("method") not in _NEEDED:
            raise CardError(
                f"sequence is {options!r}, but a table with method, one of {', '.join(_NEEDED)}, "
                "was promised; correct the card"
            )
        told = dict(options)
        self.method = str(told.pop("method"))
        needed = _NEEDED[self.method]
        known = {*needed, *_ALLOWED[self.method]}
        missing = [name for name in needed if name not in told]
        unknown = sorted(set(told) - known)
        if missing or unknown:
            raise CardError(
                f"sequence {self.method!r} lacks {missing} and does not know {unknown}, but "
                f"{', '.join(sorted(known)) or 'nothing'} was promised; correct the card"
            )
        self._told = {name: _checked(name, value) for name, value in told.items()}
        if self.method == "lockin" and len(self._told["frequency"]) > 1:
            raise CardError(
                "sequence frequency of a lock-in is one number, in Hz; correct the card"
            )
        if self.method == "tsr" and self._told["first"] < 1:
            raise CardError(
                "sequence first is 0, but a frame before the flash was promised, which tells how "
                "warm the part was; record from before the flash on"
            )

    def channels(self, stack: NDArray[np.float32], unit: str) -> xr.DataArray:
        """Derive channels.

        Parameters
        ----------
        stack : array (time, y, x), float32
        unit : str
            Of the stack.

        Returns
        -------
        DataArray (channel, y, x), float32
            With the coordinate ``channel_unit``.

        Raises
        ------
        SensorError
            When the sequence is too short for what it is asked.
        """
        told, first = self._told, self._told.get("first", 0)
        if first >= len(stack):
            raise SensorError(
                f"holds {len(stack)} frames, but frame {first} was promised to be the first that "
                "is used; correct the card's first"
            )
        used, rate = stack[first:], told.get("frame_rate", math.nan)
        ways: dict[str, Callable[[], xr.DataArray]] = {
            "lockin": lambda: lockin(used, rate, told["frequency"][0], unit),
            "ppt": lambda: pulsed_phase(used, rate, told["frequency"], unit),
            "pct": lambda: principal_components(used, told.get("components", 3)),
            "tsr": lambda: reconstruction(
                used - stack[:first].mean(axis=0),
                rate,
                told["times"],
                told.get("degree", 6),
                told.get("delay"),
            ),
        }
        return ways[self.method]()


def _checked(name: str, value: Any) -> Any:
    """Refuse an option that is not of its kind."""
    if name in _COUNTS:
        low, high = _COUNTS[name]
        if type(value) is int and low <= value <= high:
            return value
        raise CardError(
            f"sequence {name} is {value!r}, but a count from {low} to {high} was promised; correct "
            "the card"
        )
    several = isinstance(value, Sequence) and not isinstance(value, str) and name in _LISTS
    values = list(value) if several else [value]
    fine = [type(v) in (int, float) and math.isfinite(v) and v > 0 for v in values]
    if not values or not all(fine):
        raise CardError(
            f"sequence {name} is {value!r}, but positive numbers, in Hz or s, were promised; "
            "correct the card"
        )
    return [float(v) for v in values] if name in _LISTS else float(value)
