"""Counts whose scale changes from frame to frame, written in a small file beside each frame.

Renderers stretch every depth map over the whole range of its type and note the two ends beside
it. Read with one scale for all, such maps would compare parts in units of their own height.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from mmdefect.errors import CardError, SensorError

_MOST_BYTES = 1 << 20
_NUMBER = r"\s*[:=]\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)"


def check_limits(limits: object) -> tuple[str, str] | None:
    """Refuse what does not say which file stands beside a frame.

    Parameters
    ----------
    limits : object
        The end of the frame's name, and what stands in its place in the name of the file beside.

    Returns
    -------
    (str, str) or None

    Raises
    ------
    CardError
        When it is neither two texts nor None.
    """
    if limits is None:
        return None
    if isinstance(limits, Sequence) and not isinstance(limits, str) and len(limits) == 2:
        end, beside = limits
        if isinstance(end, str) and isinstance(beside, str) and end and "/" not in end + beside:
            return end, beside
    raise CardError(
        f"limits is {limits!r}, but the end of a frame's name and the end of the name of the file "
        "beside it were promised; correct the card"
    )


def read_limits(path: Path, limits: tuple[str, str]) -> tuple[float, float]:
    """Read the values of the lowest and the highest count of a frame.

    Parameters
    ----------
    path : Path
        The frame.
    limits : (str, str)
        As from ``check_limits``.

    Returns
    -------
    float, float
        The first number called ``min`` and the first called ``max``, in the card's unit.

    Raises
    ------
    SensorError
        When the file beside is missing or names no such two numbers.
    """
    end, beside = limits
    if not path.name.endswith(end):
        raise SensorError(f"{path}: a name that ends with {end!r} was promised by limits")
    file = path.with_name(path.name.removesuffix(end) + beside)
    try:
        with file.open(encoding="utf-8", errors="replace") as opened:
            text = opened.read(_MOST_BYTES)
    except OSError as error:
        raise SensorError(
            f"{path}: the file with its limits, {file.name!r}, cannot be read ({error.strerror}); "
            "copy it again"
        ) from error
    found = [re.search(rf"\b{name}[\"']?{_NUMBER}", text) for name in ("min", "max")]
    low, high = (float(number[1]) if number else float("nan") for number in found)
    if not low < high:
        raise SensorError(f"{path}: {file.name!r} names no min below a max; is it another file?")
    return low, high
