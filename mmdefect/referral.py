"""What is referred to a person: a band of p-values, stated or derived from what mistakes cost.

* A good verdict up to the p-value ``high`` is referred, and a defect above ``low``. The p-value's
  promise is about what is called defective, and that only becomes less: the false-alarm rate holds
  with any band.
* With stated costs a verdict is referred where a person is cheaper than what is to be expected
  from letting it stand. That takes the chance that the part is defective, which a p-value alone
  does not tell. Taken is the highest that it can be: over all kinds of defect whose p-values have
  a density ξ p^(ξ−1), the odds of the stated defect rate are raised by at most 1/(−e p ln p), for
  p < 1/e [1]_. So what is passed costs at most what is told; how much a referral saves on defects
  that are scrapped is told too low rather than too high.

References
----------
.. [1] Sellke, Bayarri, Berger: Calibration of p values for testing precise null hypotheses, The
   American Statistician 2001.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import e, log
from typing import Any

Row = dict[str, Any]


@dataclass(frozen=True)
class Costs:
    """What mistakes cost, in any one unit.

    Parameters
    ----------
    missed : float
        A defective part that is passed.
    false_alarm : float
        A good part that is called defective.
    referral : float
        A part that a person looks at.
    defect_rate : float
        The share of the line's parts that are defective.

    Raises
    ------
    ValueError
        When a cost is negative or not finite, or the rate is none.
    """

    missed: float
    false_alarm: float
    referral: float
    defect_rate: float

    def __post_init__(self) -> None:
        """Refuse what is no cost."""
        for name in ("missed", "false_alarm", "referral"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(
                    f"the cost {name} is {getattr(self, name)}; a finite number from 0 was promised"
                )
        if not 0 < self.defect_rate < 1:
            raise ValueError(
                f"the defect rate is {self.defect_rate}; a share between 0 and 1 was promised"
            )

    def of(self, verdict: str, *, defective: bool) -> float:
        """Give what a verdict on a part costs; one that is not inspectable is looked at too."""
        if verdict in ("refer", "not_inspectable"):
            return self.referral
        if verdict == "good":
            return self.missed if defective else 0.0
        return 0.0 if defective else self.false_alarm


@dataclass(frozen=True)
class Referral:
    """The band of p-values that is referred.

    Parameters
    ----------
    low : float
        What is called defective is referred above this p-value.
    high : float
        What is called good is referred up to this one; 0 refers nothing.
    costs : Costs, optional
        What the band was derived from.

    Raises
    ------
    ValueError
        When an end is no p-value.
    """

    low: float = 1.0
    high: float = 0.0
    costs: Costs | None = None

    def __post_init__(self) -> None:
        """Refuse what is no p-value."""
        for end in (self.low, self.high):
            if not 0 <= end <= 1:
                raise ValueError(f"a p-value of {end} was given; 0 to 1 was promised")

    @classmethod
    def of_costs(cls, costs: Costs) -> "Referral":
        """Derive the band from what mistakes cost.

        Parameters
        ----------
        costs : Costs

        Returns
        -------
        Referral

        Examples
        --------
        >>> band = Referral.of_costs(Costs(200, 20, 1, 0.02))
        >>> f"{band.low:.1e} {band.high:.3g}"
        '3.9e-05 1'
        """
        prior = costs.defect_rate / (1 - costs.defect_rate)
        missed, false_alarm, referral = costs.missed, costs.false_alarm, costs.referral
        high = low = 1.0
        if missed <= referral:
            high = 0.0
        elif referral > 0:
            high = _p_of(prior * (missed - referral) / referral)
        if false_alarm > referral:
            low = _p_of(prior * referral / (false_alarm - referral))
        return cls(low, high, costs)

    def verdict(self, verdict: str, p_value: float) -> str:
        """Give the verdict that is left.

        Parameters
        ----------
        verdict : str
        p_value : float

        Returns
        -------
        str
            ``refer`` in the band; else the same.
        """
        if verdict == "good" and p_value <= self.high:
            return "refer"
        return "refer" if verdict == "defect" and p_value > self.low else verdict

    @property
    def words(self) -> str:
        """The band in words; empty where nothing is referred."""
        told = [f"a part that is called good up to p = {self.high:.3g}"] if self.high else []
        told += [f"one that is called defective above p = {self.low:.3g}"] if self.low < 1 else []
        if self.costs is None or not told:
            return "; ".join(told)
        own = self.costs
        return "; ".join(told) + (
            f" (a missed defect costs {own.missed:g}, a false alarm {own.false_alarm:g}, a "
            f"referral {own.referral:g}; {100 * own.defect_rate:g} % of parts are defective)"
        )

    def state(self) -> Row:
        """Give what JSON can hold; empty where nothing is referred."""
        return {} if self == Referral() else asdict(self)

    @classmethod
    def from_state(cls, told: Mapping[str, Any]) -> "Referral":
        """Make the band that gave this state."""
        own = dict(told)
        costs = own.pop("costs", None)
        return cls(**own, costs=Costs(**costs) if costs else None)


def cost_row(records: Sequence[Row], costs: Costs, false_alarm: float) -> Row | None:
    """Count what the verdicts on labelled parts would cost on a line, part by part.

    Parameters
    ----------
    records : sequence of dict
        ``captures`` of one category, from ``results.json``.
    costs : Costs
        Its defect rate weighs good and defective parts; the test set's own mixture does not count.
    false_alarm : float
        The rate at which verdicts without a band are given.

    Returns
    -------
    dict or None
        The costs; ``as_judged``, ``without_referral``, and of one verdict for all parts
        ``all_passed``, ``all_scrapped``, ``all_referred``; the share of ``good_referred`` and
        ``defective_referred``. None where a label is lacking, or a verdict has no p-value.
    """
    sides = {label: [r for r in records if r["label"] == label] for label in ("good", "defect")}
    if not all(sides.values()) or any(r["p_value"] is None for r in records):
        return None

    def expected(verdict_of: Callable[[Row], str]) -> float:
        good, bad = (
            sum(costs.of(verdict_of(r), defective=label == "defect") for r in own) / len(own)
            for label, own in sides.items()
        )
        return (1 - costs.defect_rate) * good + costs.defect_rate * bad

    def referred(label: str) -> float:
        return sum(str(r["verdict"]) == "refer" for r in sides[label]) / len(sides[label])

    return {
        **asdict(costs),
        "as_judged": expected(lambda r: str(r["verdict"])),
        "without_referral": expected(
            lambda r: "defect" if r["p_value"] <= false_alarm + 1e-12 else "good"
        ),
        "all_passed": expected(lambda _: "good"),
        "all_scrapped": expected(lambda _: "defect"),
        "all_referred": expected(lambda _: "refer"),
        "good_referred": referred("good"),
        "defective_referred": referred("defect"),
    }


def _p_of(bound: float) -> float:
    """Find the p-value up to which −e p ln p is at most a bound; 1 for a bound of 1 or more."""
    if bound >= 1:
        return 1.0
    low, high = 0.0, 1 / e  # it rises from 0 to 1 between them
    for _ in range(100):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if -e * middle * log(middle) <= bound else (low, middle)
    return low
