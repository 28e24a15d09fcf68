"""How far one part's score moves when it is captured again, held against the threshold.

The measurement-systems question, asked of a score: parts are captured several times each, and the
spread within a part (the equipment) is told from the spread between parts by a one-way analysis of
variance [1]_. A verdict is worth no more than the distance from score to threshold in units of the
spread within.

References
----------
.. [1] AIAG: Measurement systems analysis, 4th edition, 2010.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike


class Repeatability(NamedTuple):
    """What repeated captures of the same parts say of a score.

    Attributes
    ----------
    parts, takes : int
        How many parts, and captures of each.
    within : float
        Standard deviation of the score of one part, captured again.
    between : float
        Standard deviation between parts, without what is due to the spread within.
    share : float
        Of the whole variance that is due to capturing again, 0 to 1.
    margin : float
        From the mean score up to the threshold, in standard deviations within; NaN without a
        threshold.
    near : float
        Share of the parts whose mean score lies within two standard deviations of the threshold.
    flips : float
        Share of the parts that got both verdicts.
    """

    parts: int
    takes: int
    within: float
    between: float
    share: float
    margin: float
    near: float
    flips: float


def repeatability(scores: ArrayLike, threshold: float | None) -> Repeatability:
    """Tell a score's spread within parts from that between parts.

    Parameters
    ----------
    scores : float array (part, take)
        Of parts of one kind (good ones, say), each captured as often.
    threshold : float or None
        Above it a part is called defective.

    Returns
    -------
    Repeatability

    Raises
    ------
    ValueError
        For fewer than two parts or two captures of each, or a score that is not finite.

    Examples
    --------
    >>> told = repeatability([[1.0, 1.2], [2.0, 2.2], [1.5, 1.7]], threshold=2.1)
    >>> round(told.within, 3), round(told.share, 2), round(told.flips, 2)
    (0.141, 0.08, 0.33)
    """
    rows = np.asarray(scores, dtype=np.float64)
    if rows.ndim != 2 or min(rows.shape) < 2 or not np.isfinite(rows).all():
        raise ValueError(
            f"scores have the shape {rows.shape}; finite scores (part, take) of two parts and two "
            "captures of each at least were promised"
        )
    parts, takes = rows.shape
    means = rows.mean(1)
    within = float(rows.var(1, ddof=1).mean())
    between = max(float(means.var(ddof=1)) - within / takes, 0.0)
    whole = within + between
    margin = near = float("nan")
    flips = 0.0
    if threshold is not None:
        spread = max(within**0.5, 1e-12)
        margin = float(threshold - means.mean()) / spread
        near = float((np.abs(means - threshold) < 2 * spread).mean())
        called = rows > threshold
        flips = float((called.any(1) & ~called.all(1)).mean())
    share = within / whole if whole else 0.0
    return Repeatability(parts, takes, within**0.5, between**0.5, share, margin, near, flips)
