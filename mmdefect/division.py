"""Which good parts fit and which calibrate: decided here and nowhere else.

The false-alarm rate holds only while the two are disjoint. Parts that come later are divided by
their content, so that a part that is given twice, or copied, lands on the same side every time.
"""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from mmdefect.verdict import parts_needed

T = TypeVar("T")

_USUAL_SHARE = 0.25
_LARGEST_SHARE = 1 / 3


def divide(
    good: Sequence[T], extra: Sequence[T], false_alarm: float, seed: int
) -> tuple[list[T], list[T]]:
    """Divide good parts into those that fit and those that calibrate.

    Parameters
    ----------
    good : sequence
        Parts of the training split.
    extra : sequence
        Parts that the data set sets aside for calibration; all of them calibrate.
    false_alarm : float
        The wanted rate: it takes at least 1/rate − 1 calibration parts.
    seed : int
        Draws which.

    Returns
    -------
    list
        To fit, in the order given.
    list
        To calibrate: ``extra``, and where that is too few, training parts: a quarter of them or
        what the rate takes, but never more than a third.
    """
    usual = 0 if extra else round(_USUAL_SHARE * len(good))
    wanted = max(usual, parts_needed(false_alarm) - len(extra), 0)
    taken = min(wanted, int(_LARGEST_SHARE * len(good)))
    drawn = set(np.random.default_rng(seed).permutation(len(good))[:taken].tolist())
    fit = [part for index, part in enumerate(good) if index not in drawn]
    calibrate = [part for index, part in enumerate(good) if index in drawn]
    return fit, [*calibrate, *extra]


def calibrates(digests: Sequence[str], share: float) -> bool:
    """Tell whether a later part joins the calibration.

    Parameters
    ----------
    digests : sequence of str
        SHA-256 of its frames, hexadecimal.
    share : float
        The share of parts that calibrate.

    Returns
    -------
    bool

    Notes
    -----
    The hash of all hashes is the draw: whatever the order of the frames, and evenly.
    """
    drawn = hashlib.sha256("".join(sorted(digests)).encode()).digest()
    return int.from_bytes(drawn[:8]) / 2**64 < share
