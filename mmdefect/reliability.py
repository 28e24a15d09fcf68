"""A watch on every sensor while parts go by: it names the one that sees otherwise than it did.

* A camera is bumped, a lamp ages, a cable sticks: its scores then say nothing of the part. The
  ranks of a sensor's scores among those it gave before are uniform as long as nothing changed,
  whatever the detector is worth [1]_. Bets against that are paid out; a sensor on which they win
  too much is named, and taken out of the fusion until it is as before.
* The bets are a Shiryaev–Roberts e-detector [2]_: as long as nothing changes, it fires once in
  ``run_length`` captures on average at most. It allows that a tenth of the parts are defective
  and score so by this sensor; those are not its fault.
* They go on while a sensor is named: it has not recovered as long as any of them is winning.
* The same bets are made on the signs of its own state (`mmdefect.signs`): a camera that reads 2 K
  too much, or was pushed aside, may score as it always did. All bets of a sensor have one stake.
* Naming sensors never makes a part good. A part that the others alone would pass, but not with
  some of them, is referred: one may be named wrongly while another fails. So is a part that is
  passed, but would not be without one of its sensors.

References
----------
.. [1] Vovk, Nouretdinov, Gammerman: Testing exchangeability on-line, ICML 2003.
.. [2] Shin, Ramdas, Rinaldo: E-detectors: a nonparametric framework for sequential change
   detection, New England Journal of Statistics in Data Science, 2023.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple, Self

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from mmdefect.judging import Judge
from mmdefect.signs import SIGNS
from mmdefect.withheld import Again, without
from mmdefect.zones import Place

DEFECTIVE = 0.1
_MOST_KEPT = 5000
_RECOVERED = np.log(100.0)
_LEAST_CLEARING = 8


class Bet(NamedTuple):
    """A density on ranks, against the uniform one: pays where it is above 1.

    Attributes
    ----------
    fault : str
        What is wrong when it wins.
    high : bool
        Whether it bets on high values, low p-values.
    power : float
        Of ``(power + 1) · x^power``, x the p-value or what it lacks of 1.
    forgiving : bool
        Whether it is to win nothing on average while a tenth of the parts are defective.
    """

    fault: str
    high: bool
    power: float
    forgiving: bool = True

    def pays(self, p_value: float) -> float:
        """Give the factor by which the stake grows; on good and some defective parts 1 at most."""
        pay = (self.power + 1) * (1 - p_value if self.high else p_value) ** self.power
        # defective parts can only help a bet by its highest payment
        return float(pay / (1 + DEFECTIVE * self.power) if self.forgiving else pay)


_POWERS = (1.0, 3.0, 9.0)
BETS = (
    *(Bet("strange", True, power) for power in _POWERS),
    # a defective part does not score less than a good one
    *(Bet("blind", False, power, forgiving=False) for power in _POWERS),
)
_SHOWN = {"level": "level", "across": "moved", "down": "moved"}
# a median, and residuals that are clipped: what a defect shows hardly moves them
SIGN_BETS = tuple(
    tuple(Bet(_SHOWN[sign], high, power, False) for high in (True, False) for power in _POWERS)
    for sign in SIGNS
)


class Monitor:
    """The bets on one sensor.

    Parameters
    ----------
    scores : sequence of float
        What good parts scored that fitted nothing.
    run_length : float
        Captures between two false alarms, on average at least.
    seed : int
        Breaks ties between ranks.
    signs : array (part, sign), optional
        Signs of the sensor's state on such parts; without them only scores are bet on.

    Attributes
    ----------
    fault : str
        Empty, or ``strange`` (scores are higher than they were), ``blind`` (lower), ``frozen`` (the
        same twice running), ``level`` (it reads otherwise), ``moved`` (its picture lies elsewhere).
    stakes : float array (bet,)
        What the bets have won; fires when their mean reaches ``run_length``, and starts anew.
    """

    def __init__(
        self,
        scores: Sequence[float],
        run_length: float,
        seed: int = 0,
        signs: ArrayLike = (),
    ) -> None:
        shown = np.asarray(signs, dtype=np.float64)
        columns = [np.asarray(scores), *(shown.T if shown.ndim == 2 else ())]
        self.known = [sorted(column[np.isfinite(column)].tolist()) for column in columns]
        self.fresh: list[list[float]] = [[] for _ in columns]
        self.run_length = run_length
        self.rng = np.random.default_rng(seed)
        self.stakes = np.zeros(len(self._bets))
        self.fault = ""
        self.winner = 0
        self.cleared = 0.0
        self.last = float("nan")

    @property
    def level(self) -> float:
        """How near it is to firing: 0 nothing won, 1 fired."""
        return 1.0 if self.fault else min(1.0, float(self.stakes.mean()) / self.run_length)

    def see(self, score: float, signs: Sequence[float] = ()) -> str:
        """Take the next capture's score in.

        Parameters
        ----------
        score : float
            NaN where the sensor was absent: nothing follows from that.
        signs : sequence of float
            In the order of `mmdefect.signs.SIGNS`; from NaN nothing follows either.

        Returns
        -------
        str
            ``fault``.
        """
        if not np.isfinite(score):
            return self.fault
        same, self.last = score == self.last, score
        values = [score, *signs, *[float("nan")] * len(SIGNS)][: len(self.known)]
        pays = self._pays(values)
        if self.fault or not same:
            self.stakes = np.where(np.isnan(pays), self.stakes, (self.stakes + 1) * pays)
        won = float(self.stakes.mean()) >= self.run_length
        if won:
            self.winner, self.cleared = int(self.stakes.argmax()), 0.0
            self.stakes = np.zeros(len(self.stakes))
        if self.fault:
            self._clear(same, pays)
        elif same:
            self.fault, self.cleared = "frozen", 0.0
        elif won:
            self.fault = self._bets[self.winner].fault
        if not self.fault:
            self._keep(values)
        return self.fault

    @property
    def _bets(self) -> list[Bet]:
        """All bets, those on scores first."""
        return [bet for bets in (BETS, *SIGN_BETS)[: len(self.known)] for bet in bets]

    def _pays(self, values: Sequence[float]) -> NDArray[np.float64]:
        """Give what every bet pays; NaN where its value is not known."""
        pays: list[float] = []
        for known, value, bets in zip(self.known, values, (BETS, *SIGN_BETS), strict=False):
            rank = self._rank(known, value) if np.isfinite(value) else float("nan")
            pays += [bet.pays(rank) for bet in bets]
        return np.array(pays)

    def _rank(self, known: list[float], value: float) -> float:
        """Rank a value among all that are known, ties broken by chance: a p-value."""
        below, upto = bisect_left(known, value), bisect_right(known, value)
        higher, ties = len(known) - upto, upto - below + 1
        return float((higher + self.rng.random() * ties) / (len(known) + 1))

    def _keep(self, values: Sequence[float]) -> None:
        """Let values join those that later ones are ranked among."""
        for known, fresh, value in zip(self.known, self.fresh, values, strict=True):
            if np.isfinite(value):
                insort(known, value)
                fresh.append(value)
            if len(fresh) > _MOST_KEPT:
                del known[bisect_left(known, fresh.pop(0))]

    def _clear(self, same: bool, pays: NDArray[np.float64]) -> None:
        """Ask whether the sensor is as before: the bet that won last has to lose, and none win."""
        most = 1 / _LEAST_CLEARING
        if self.fault == "frozen":
            self.cleared = 0.0 if same else self.cleared + most
        elif np.isfinite(pays[self.winner]):
            lost = -np.log(max(pays[self.winner], 1e-9)) / _RECOVERED
            self.cleared = max(0.0, self.cleared + float(np.clip(lost, -most, most)))
        self.cleared = min(self.cleared, 1.0)
        if self.cleared > 1 - 1e-9 and self.stakes.mean() < self.run_length**0.5:
            self.fault, self.stakes = "", np.zeros(len(self.stakes))

    def state(self) -> dict[str, Any]:
        """Give all it knows, for JSON."""
        return {
            "known": self.known,
            "fresh": self.fresh,
            "run_length": self.run_length,
            "stakes": self.stakes.tolist(),
            "fault": self.fault,
            "winner": self.winner,
            "cleared": self.cleared,
            "last": self.last if np.isfinite(self.last) else None,
            "draws": self.rng.bit_generator.state,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Make the monitor that gave this state."""
        monitor = cls((), state["run_length"])
        monitor.known = [list(values) for values in state["known"]]
        monitor.fresh = [list(values) for values in state["fresh"]]
        monitor.stakes = np.array(state["stakes"])
        monitor.fault, monitor.winner = state["fault"], state["winner"]
        monitor.cleared = state["cleared"]
        monitor.last = float("nan") if state["last"] is None else state["last"]
        monitor.rng.bit_generator.state = state["draws"]
        return monitor


class Reliability:
    """Judges the captures of a line in their order, and watches every sensor meanwhile.

    Parameters
    ----------
    judge : Judge
    run_length : float
        Captures between two false alarms of one sensor, on average at least.
    seed : int
    """

    def __init__(self, judge: Judge, run_length: float = 10_000, seed: int = 0) -> None:
        self.judge = judge
        calibration = judge.calibration
        self.monitors = {
            name: Monitor(
                calibration.of_sensor(name).tolist(),
                run_length,
                seed + number,
                calibration.signs_of_sensor(name),
            )
            for number, name in enumerate(calibration.sensors)
        }

    def judged(
        self, prediction: xr.Dataset, places: Sequence[Place], again: Again | None = None
    ) -> xr.Dataset:
        """Judge the next capture.

        Parameters
        ----------
        prediction : Dataset
            Of the fusion; with the ``signs`` of its sensors where those are watched too.
        places : sequence of Place
        again : callable, optional
            Gives the prediction as if some sensors had measured nothing; asked where what is said
            of the others depends on them.

        Returns
        -------
        Dataset
            As ``Judge.judged`` gives it, with attr ``faults``, by sensor. With faulty sensors the
            p-value, the score and the verdict are those of the others; ``refer`` where the verdict
            hangs on one sensor that may not be trusted, or on the lack of named ones.
        """
        scores, shown = prediction["sensor_score"], prediction.get("signs")
        signs = {n: shown.sel(sensor=n).values.tolist() for n in self.monitors if shown is not None}
        self.pass_by({n: float(scores.sel(sensor=n).item()) for n in self.monitors}, signs)
        faults = {name: monitor.fault for name, monitor in self.monitors.items() if monitor.fault}
        trusted = self._trusted(prediction, list(faults), again)
        judged = self.judge.judged(trusted, places)
        there = [name for name in self.monitors if name not in faults]
        more = [(name,) for name in there] if len(there) > 1 else []
        fewer = [out for size in range(len(faults)) for out in combinations(faults, size)]
        verdict = judged.attrs["verdict"]
        if (verdict != "defect" and self._condemned(prediction, places, fewer)) or (
            verdict == "good" and self._condemned(trusted, places, more)
        ):
            verdict = "refer"
        watched = judged.assign(watched=scores)
        return watched.assign_attrs(verdict=verdict, faults=faults)

    def _trusted(
        self, prediction: xr.Dataset, faults: Sequence[str], again: Again | None
    ) -> xr.Dataset:
        """Give what is said without named sensors; by a fusion that did not see them, if asked."""
        if again is None or not faults or not self.judge.calibration.left:
            return without(prediction, faults, self.judge.calibration.combine)
        rest = again(faults)
        return rest.assign(signs=prediction["signs"]) if "signs" in prediction else rest

    def _condemned(
        self, prediction: xr.Dataset, places: Sequence[Place], outs: Sequence[Sequence[str]]
    ) -> bool:
        """Tell whether a part is a defect without any of these sets of sensors."""
        judge, combine = self.judge, self.judge.calibration.combine
        told = (judge.judged(without(prediction, out, combine), places) for out in outs)
        return any(one.attrs["verdict"] == "defect" for one in told)

    def state(self) -> dict[str, Any]:
        """Give what all monitors know, for JSON."""
        return {name: monitor.state() for name, monitor in self.monitors.items()}

    def pass_by(
        self,
        scores: Mapping[str, float | None],
        signs: Mapping[str, Sequence[float | None]] | None = None,
    ) -> None:
        """Go on as if a capture had been judged that was: after a restart, from its record.

        Parameters
        ----------
        scores : mapping of str to float or None
            Every sensor's score; None where it was absent.
        signs : mapping of str to sequence of float or None, optional
            Every sensor's signs, as far as they are known.
        """
        for name, monitor in self.monitors.items():
            shown = (signs or {}).get(name, ())
            monitor.see(_number(scores.get(name)), [_number(value) for value in shown])

    def resume(self, state: Mapping[str, Any]) -> None:
        """Go on where another left off.

        Parameters
        ----------
        state : mapping
            As `state` gave it, of the same sensors.
        """
        self.monitors = {name: Monitor.from_state(state[name]) for name in self.monitors}


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
