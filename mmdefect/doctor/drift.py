"""Drift: whether the level of a sensor moves with the order in which parts were captured.

Parts learnt from in the morning and judged in the evening are different parts to a detector when
the lamp fades or the line warms up. The order is that of the file names, numbers counted as
numbers: the time stamps of files change with every copy. Good parts of one split are tested, by
Mann and Kendall's rank test [1]_, with Holm's correction [2]_ over all tests of a category.

References
----------
.. [1] H. B. Mann, "Nonparametric tests against trend", Econometrica 13, 1945.
.. [2] S. Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Stat. 6, 1979.
"""

from array import array
from collections.abc import Iterator, Sequence

import numpy as np

from mmdefect.doctor.findings import DOUBTFUL, Finding, Seen
from mmdefect.plane import plane_of

RISK = 0.01
LEAST_TAU = 0.3
LEAST_FRAMES = 12
_TRACED = ("level", "contrast", "invalid share")


class DriftCheck:
    """Follows the level, contrast and holes of every sensor over the good parts of a category.

    Kept per capture and sensor: three numbers.

    Parameters
    ----------
    category : str
    """

    def __init__(self, category: str) -> None:
        self.category = category
        self._traces: dict[tuple[str, str, str], array[float]] = {}
        self._units: dict[str, str] = {}

    def look(self, seen: Seen) -> None:
        """Take three numbers of every frame of a good part, in the order of names."""
        capture = seen.capture
        if capture.label != "good" or capture.series:
            return  # a part in motion changes by itself
        for name, frame in seen.frames.items():
            values = plane_of(frame)
            known = values[np.isfinite(values)]
            low, level, high = np.quantile(known, [0.05, 0.5, 0.95])
            numbers = (level, high - low, 1 - known.size / values.size)
            self._units[name] = frame.attrs["units"]
            for what, number in zip(_TRACED, numbers, strict=True):
                self._traces.setdefault((capture.split, name, what), array("d")).append(number)

    def findings(self) -> Iterator[Finding]:
        """Say what moves."""
        tested = []
        for key, trace in sorted(self._traces.items()):
            values = np.array(trace)
            if len(values) >= LEAST_FRAMES and np.ptp(values) > 0:
                tested.append((key, values, *trend(values)))
        for index in holm([risk for *_, risk in tested], RISK):
            (split, sensor, what), values, tau, risk = tested[index]
            if abs(tau) < LEAST_TAU:
                continue
            tenth = max(3, len(values) // 10)
            unit = (
                ""
                if what == "invalid share" or self._units[sensor] in ("1", "relative")
                else (f" {self._units[sensor]}")
            )
            yield Finding(
                DOUBTFUL,
                "drift",
                self.category,
                sensor,
                f"the {what} of {sensor} {'rises' if tau > 0 else 'falls'} over the {len(values)} "
                f"good parts of {split}, in the order of their names: from "
                f"{np.median(values[:tenth]):.4g} to {np.median(values[-tenth:]):.4g}{unit} "
                f"(Kendall's tau {tau:.2f}, p {risk:.1g})",
                "a detector learns the drift as variation, or takes what comes after for defects",
                "let the rig warm up, calibrate in between, or mix the order of capture",
                len(values),
            )


def trend(values: np.ndarray) -> tuple[float, float]:
    """Test whether numbers move with their order.

    Parameters
    ----------
    values : float array (part,)

    Returns
    -------
    float
        Kendall's tau between value and place.
    float
        Two-sided p-value.
    """
    from scipy.stats import kendalltau

    found = kendalltau(np.arange(len(values)), values)
    return float(found.statistic), float(found.pvalue)


def holm(risks: Sequence[float], level: float) -> list[int]:
    """Choose the tests that stand at a family-wise level.

    Parameters
    ----------
    risks : sequence of float
        p-values.
    level : float

    Returns
    -------
    list of int
        Indices, in order.

    Examples
    --------
    >>> holm([0.04, 0.001, 0.5], 0.05)
    [1]
    """
    order = sorted(range(len(risks)), key=lambda index: risks[index])
    stands = []
    for rank, index in enumerate(order):
        if risks[index] > level / (len(risks) - rank):
            break
        stands.append(index)
    return sorted(stands)
