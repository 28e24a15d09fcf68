"""What an explanation holds, and how it is put into words.

Every number in it is measured or computed by the model's own steps. What cannot be had (a depth
where no cloud in mm lies on the grid, a match where the detector keeps no good patches) is left
out; nothing stands in for it.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr

from mmdefect.contracts import Memory
from mmdefect.evidence import Match
from mmdefect.explain._channels import channel_map
from mmdefect.records import plain, region_rows
from mmdefect.regions import Region

Row = dict[str, Any]

_DIGITS = 3
_TOLD = 5


@dataclass(frozen=True)
class Measure:
    """Something measured at a region, in its unit.

    Parameters
    ----------
    sensor : str
    quantity : str
        ``area``, ``height``, ``depth``, ``temperature``, ``attenuation``, ``reflectance``.
    value : float
        Of ``depth`` positive into the part; of the others positive upwards.
    unit : str
        ``mm²``, ``mm``, ``K``, or ``1``.
    against : str
        What it was measured against; empty for a size.
    """

    sensor: str
    quantity: str
    value: float
    unit: str
    against: str

    @property
    def words(self) -> str:
        """The measure as a person would say it."""
        unit = "" if self.unit == "1" else f" {self.unit}"
        size = f"{_short(abs(self.value))}{unit}"
        if self.quantity == "area":
            return size
        if self.quantity in ("height", "depth"):
            way = "high" if self.quantity == "height" else "deep"
            return f"{size} {way} against {self.against} ({self.sensor})"
        if self.quantity == "temperature":
            way = "warmer" if self.value >= 0 else "colder"
            return f"{size} {way} than {self.against} ({self.sensor})"
        way = "more" if self.value >= 0 else "less"
        return f"{self.quantity} {size} {way} than {self.against} ({self.sensor})"


@dataclass(frozen=True)
class Counterfactual:
    """What the part would score if a place looked good to some sensors.

    Parameters
    ----------
    sensors : tuple of str
        Whose patches of the place were replaced by their nearest good ones.
    patches : int
        How many were.
    before, after : float
        The part's score.
    verdict : str
        What would be said then.
    """

    sensors: tuple[str, ...]
    patches: int
    before: float
    after: float
    verdict: str

    @property
    def words(self) -> str:
        """The counterfactual as a sentence."""
        whose = " and ".join(self.sensors)
        return (
            f"with the {self.patches} patches of {whose} replaced by their nearest good ones the "
            f"score falls from {_short(self.before)} to {_short(self.after)}: {self.verdict}"
            if self.after < self.before
            else f"with the {self.patches} patches of {whose} replaced by their nearest good ones "
            f"the score stays at {_short(self.after)}: {self.verdict}"
        )


@dataclass(frozen=True)
class Finding:
    """A region, and what is known of it.

    Parameters
    ----------
    region : Region
    shares : dict of str to float
        Shapley share of each registered sensor in the mean evidence of the region's core.
    measures : tuple of Measure
    matches : tuple of Match
        Of each supporting sensor whose detector keeps good patches.
    counterfactuals : tuple of Counterfactual
    """

    region: Region
    shares: dict[str, float]
    measures: tuple[Measure, ...]
    matches: tuple[Match, ...]
    counterfactuals: tuple[Counterfactual, ...]

    @property
    def words(self) -> str:
        """The region in one line, with what the sensors that support it measure."""
        x, y = self.region.peak
        where = "" if self.region.place == "part" else f" in {self.region.place}"
        seen = ("", *self.region.sensors)
        measured = "".join(f", {one.words}" for one in self.measures if one.sensor in seen)
        return (
            f"at x {x}, y {y}{where}{measured}; seen by {' and '.join(self.region.sensors)}; "
            f"p = {_short(self.region.p_value)} that a good part reaches this anywhere"
        )

    @property
    def why(self) -> Row:
        """What a page shows of it: the region's row, and sentences by what they tell."""
        return {
            **region_rows([self.region])[0],
            "shares": {name: plain(share) for name, share in self.shares.items()},
            "measured": [one.words for one in self.measures if one.quantity != "area"],
            "matches": [match_words(match) for match in self.matches],
            "what_if": [one.words for one in self.counterfactuals],
        }

    def told(self) -> Row:
        """Give what JSON holds."""
        return {
            **region_rows([self.region])[0],
            "shares": {name: plain(share) for name, share in self.shares.items()},
            "measures": [asdict(measure) for measure in self.measures],
            "matches": [match_row(match) for match in self.matches],
            "counterfactuals": [
                {**asdict(one), "sensors": list(one.sensors)} for one in self.counterfactuals
            ],
            "words": self.words,
        }


@dataclass(frozen=True, repr=False)
class Explanation:
    """Why a scene was judged as it was.

    Parameters
    ----------
    prediction : Dataset
        As ``Inspection.predict`` gives it.
    attribution : DataArray (sensor)
        Shapley shares; they sum to the score less ``baseline``.
    attribution_map : DataArray (sensor, y, x)
        The same for every pixel's evidence, less ``pixel_baseline``; 0 for a sensor on a grid of
        its own.
    matches : tuple of Match
        The strangest patch of every sensor, on whatever grid it lies.
    findings : tuple of Finding
        The most surprising first.
    guarantee : str
        What the p-value promises.
    memories : mapping of str to Memory
        What the detectors that keep good patches remember of the scene, by sensor.
    """

    prediction: xr.Dataset
    attribution: xr.DataArray
    attribution_map: xr.DataArray
    matches: tuple[Match, ...]
    findings: tuple[Finding, ...]
    guarantee: str
    memories: Mapping[str, Memory] = field(default_factory=dict)

    @cached_property
    def channel_map(self) -> xr.DataArray | None:
        """The sensors' own maps split by what the features describe, (channel, y, x).

        The channels of one sensor (``channel_sensor``) sum to what its detector says. None where
        no detector keeps patches. Made when it is first asked for.
        """
        return channel_map(self.memories)

    @property
    def baseline(self) -> float:
        """What the part would score without any sensor: the calibration parts' median."""
        return float(self.prediction.attrs.get("baseline", 0.0))

    @property
    def pixel_baseline(self) -> float:
        """What a pixel's evidence is without any sensor: the calibration maps' median."""
        return float(self.prediction.attrs.get("pixel_baseline", 0.0))

    @property
    def words(self) -> str:
        """The explanation as a few lines."""
        attrs = self.prediction.attrs
        score, threshold = float(self.prediction["image_score"]), attrs.get("threshold")
        limit = "" if threshold is None else f", threshold {_short(threshold)}"
        p_value = _short(float(self.prediction["p_value"]))
        lines = [
            f"{attrs.get('capture', 'scene')}: {attrs['verdict']} "
            f"(score {_short(score)}{limit}, p = {p_value})"
        ]
        lines += [f"  {attrs['why']}"] if "why" in attrs else []
        lines.append(
            f"  of the score above a usual good part's {_short(self.baseline)}: {self._shares()}"
        )
        for number, finding in enumerate(self.findings[:_TOLD], 1):
            lines.append(f"  {number}. {finding.words}")
            lines += [f"     {one}" for one in _evidence(finding)]
        if len(self.findings) > _TOLD:
            lines.append(f"  and {len(self.findings) - _TOLD} weaker regions")
        return "\n".join([*lines, f"  {self.guarantee}"])

    def __str__(self) -> str:
        """Give the words."""
        return self.words

    def __repr__(self) -> str:
        """Tell the verdict and how much is known."""
        attrs = self.prediction.attrs
        return (
            f"Explanation of {attrs.get('capture', 'a scene')}: {attrs['verdict']}, "
            f"{len(self.findings)} regions"
        )

    def told(self) -> Row:
        """Give what JSON holds: all but the maps."""
        attrs = self.prediction.attrs
        return {
            "capture": attrs.get("capture"),
            "verdict": attrs["verdict"],
            "why": attrs.get("why"),
            "image_score": plain(float(self.prediction["image_score"])),
            "threshold": attrs.get("threshold"),
            "p_value": plain(float(self.prediction["p_value"])),
            "baseline": self.baseline,
            "attribution": {
                str(name): plain(share)
                for name, share in zip(
                    self.attribution["sensor"].values, self.attribution.values, strict=True
                )
            },
            "matches": [match_row(match) for match in self.matches],
            "findings": [finding.told() for finding in self.findings],
            "guarantee": self.guarantee,
        }

    def _shares(self) -> str:
        """Tell the sensors' shares, the largest first."""
        order = np.argsort(-np.nan_to_num(self.attribution.values), kind="stable")
        return ", ".join(
            f"{self.attribution['sensor'].values[n]} {_short(float(self.attribution.values[n]))}"
            for n in order
        )


def match_row(match: Match) -> Row:
    """Give what JSON holds of a match."""
    return {
        **asdict(match),
        "nearest": [
            {"capture": one.capture, "y": plain(one.y), "x": plain(one.x), "distance": one.distance}
            for one in match.nearest
        ],
    }


def match_words(match: Match) -> str:
    """Tell a match as a sentence."""
    best = match.nearest[0]
    strongest = max(match.groups, key=lambda name: match.groups[name], default="")
    mostly = f", {100 * match.groups[strongest]:.0f} % of it {strongest}" if strongest else ""
    where = f"{best.capture} at x {best.x:.0f}, y {best.y:.0f}" if best.capture else "unknown"
    return (
        f"{match.sensor}: {_short(match.score)} times the usual distance from the nearest "
        f"good patch{mostly}; that is {where}"
    )


def _evidence(finding: Finding) -> list[str]:
    """Tell a finding's matches and counterfactuals."""
    return [match_words(match) for match in finding.matches] + [
        one.words for one in finding.counterfactuals
    ]


def _short(number: float) -> str:
    """Write a number with three digits."""
    return f"{number:.{_DIGITS}g}".replace("-", "−")
