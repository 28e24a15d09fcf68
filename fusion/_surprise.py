"""How badly each sensor was foretold from the others, as evidence.

* The error counts in units of the spread that the network itself expected, number by number, and
  the more the better the number can be foretold. So an edge whose brightness nobody can know says
  nothing, and two sensors that contradict each other say much, though each looks usual alone.
* Two networks, each of half the good parts, score the other half as strangers: on these scores
  places and scales rest. What comes later is scored by the first of them: to it a new part is as
  strange as those of the other half were. A network of all parts would err less on new parts than
  any did on the parts that its scale rests on, so their evidence would be too small.
* What is usual at each place is held against parts of other folds, as new parts will be.
* What a sensor can be foretold to depends on which others are there. So every subset of up to four
  sensors has scales of its own; with one sensor left the networks have nothing to say.
* Within its parts every network keeps some apart to end its training on. No scale rests on a part
  that its network learnt from or ended on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmdefect.contracts import Tensors
from mmdefect.errors import MmdefectError
from mmdefect.keyed import below, under

from ._errors import only, standing_out, subsets_of, worst_of
from ._foretelling import Foretelling
from ._held_out import HeldOut, Scales, scales_of
from ._lessons import Schedule
from ._network import Network, Shape
from ._positions import Positions
from ._resume import Checkpoint
from ._scales import Scale
from ._tokens import Tokens, stacked
from ._training import Course, trained
from ._windows import windows_of

LEAST_PARTS = 8
"""Good parts that a network takes at least: each of two has four, and ends on one of them."""
_HALVES = 2
_LEAST_SENSORS = 2
_STOP_SHARE = 8
_SUBSET_PARTS = 48
_STEPS_A_PART = 8


@dataclass(frozen=True)
class Layout:
    """What the tokens look like.

    Attributes
    ----------
    sensors : tuple of str
    grid : tuple of int
        Rows and columns of cells.
    flat : Tensor (cell, axis), float32
        The cells' places on the grid.
    kept : Tensor (sensor, dim), bool
        Which numbers mean something.
    geometry : str or None
        The sensor that places in space come from.
    """

    sensors: tuple[str, ...]
    grid: tuple[int, int]
    flat: Tensor
    kept: Tensor
    geometry: str | None

    def shape(self, width: int, layers: int, heads: int) -> Shape:
        """Give the shape of a network for such tokens."""
        own = -1 if self.geometry is None else self.sensors.index(self.geometry)
        return Shape(len(self.sensors), self.kept.shape[1], width, layers, heads, own)


class Surprise:
    """The transformer's evidence.

    Parameters
    ----------
    layout : Layout
    width, layers, heads : int
        Of the networks.
    schedule : Schedule
    heavy : bool
        Whether tails may be heavier than exponential ones.

    Attributes
    ----------
    networks_ : list of Network
        Of the first half, which scores what comes later, and of the second.
    courses_ : list of Course
        How their training went.
    positions_ : dict of str to Positions
        What is usual at each place, by sensor.
    without_ : dict of int to dict of str to Positions
        The same as if a fold's parts had never been seen.
    scales_ : dict of tuple of str to Scales
        By the sensors that are there.
    """

    def __init__(
        self,
        layout: Layout,
        width: int = 64,
        layers: int = 2,
        heads: int = 4,
        schedule: Schedule | None = None,
        heavy: bool = False,
    ) -> None:
        self.layout = layout
        self.width, self.layers, self.heads = width, layers, heads
        self.schedule = schedule or Schedule()
        self.heavy = heavy
        self.windows = windows_of(layout.grid)
        self._ready: dict[int, Foretelling] = {}

    def fit(self, held: Sequence[Tokens], folds: Sequence[int], checkpoint: Path | None) -> Self:
        """Train the networks, and learn what good errors look like.

        Parameters
        ----------
        held : sequence of Tokens
            One per good part.
        folds : sequence of int
            Each part's fold.
        checkpoint : Path, optional
            Folder to go on from and to write to.

        Returns
        -------
        Surprise
            Itself.

        Raises
        ------
        MmdefectError
            With fewer than eight parts, and when training fails.
        """
        if len(held) < LEAST_PARTS:
            raise MmdefectError(
                f"{len(held)} good part{'s' if len(held) > 1 else ''} to learn from; the "
                f"transformer takes {LEAST_PARTS} at least: take more, or the fusion 'late'"
            )
        every, half = stacked(held), np.asarray(folds) % _HALVES
        if min((half == k).sum() for k in range(_HALVES)) < LEAST_PARTS // _HALVES:
            half = np.arange(len(held)) % _HALVES
        self.networks_, self.courses_ = [], []
        for number in range(_HALVES):
            own = np.flatnonzero(half == number)
            network, course = self._train(every, own, number, checkpoint)
            self.networks_.append(network)
            self.courses_.append(course)
        self._learn_scales(held, [int(k) for k in half], folds)
        return self

    def evidence(
        self, tokens: Tokens, apart: NDArray[np.bool_], without: int | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Score one scene.

        Parameters
        ----------
        tokens : Tokens
        apart : bool array (sensor, row, column)
            Cells that do not count in the part's evidence.
        without : int, optional
            Score as if this fold's parts had never been seen.

        Returns
        -------
        float32 array (sensor, row, column)
            Evidence of cells, NaN where there is none.
        float64 array (sensor,)
            Evidence of the part.
        """
        seen = tokens.there.any(1).tolist()
        there = tuple(
            name for name, is_seen in zip(self.layout.sensors, seen, strict=True) if is_seen
        )
        cells = np.full((len(seen), *self.layout.grid), np.nan, dtype=np.float32)
        parts = np.full(len(seen), np.nan)
        if len(there) < _LEAST_SENSORS:
            return cells, parts
        number = 0 if without is None else 1 - without % _HALVES
        maps = self._errors(self.networks_[number], tokens)
        scales = self.scales_.get(there, self.scales_[self.layout.sensors])
        places = self.positions_ if without is None else self.without_.get(without, self.positions_)
        for index, name in enumerate(self.layout.sensors):
            score = worst_of(maps[index], apart[index])
            pixels, score = places[name].held_against(maps[index], score, apart[index])
            cells[index] = scales.pixels[name].evidence(pixels)
            parts[index] = scales.parts[name].evidence(score)
        return cells, parts

    def state(self) -> tuple[Tensors, dict[str, Any]]:
        """Give what was learnt: arrays, and what JSON can hold."""
        tensors: Tensors = {}
        for number, network in enumerate(self.networks_):
            for key, weights in network.state_dict().items():
                tensors[f"{number}/{key}"] = weights.numpy()
        for when, places in [("", self.positions_), *self.without_.items()]:
            for name, positions in places.items():
                tensors |= under(f"places{when}/{name}", positions.state())
        told = {
            "width": self.width,
            "layers": self.layers,
            "heads": self.heads,
            "heavy": self.heavy,
            "schedule": asdict(self.schedule),
            "folds": list(self.without_),
            "best_steps": [course.best_step for course in self.courses_],
            "scales": [
                [
                    list(there),
                    *(
                        {name: held.state() for name, held in kind.items()}
                        for kind in (scales.parts, scales.pixels)
                    ),
                ]
                for there, scales in self.scales_.items()
            ],
        }
        return tensors, told

    @classmethod
    def from_state(
        cls, tensors: Mapping[str, Any], told: Mapping[str, Any], layout: Layout
    ) -> Self:
        """Make what gave this state, for the same layout of tokens."""
        made = cls(
            layout, told["width"], told["layers"], told["heads"], Schedule(**told["schedule"]),
            told["heavy"],
        )  # fmt: skip
        shape = layout.shape(made.width, made.layers, made.heads)
        made.networks_ = []
        for number in range(_HALVES):
            network = Network(shape).eval()
            weights = below(tensors, str(number)).items()
            network.load_state_dict(
                {key: torch.from_numpy(np.array(held)) for key, held in weights}
            )
            made.networks_.append(network)
        made.courses_ = [Course([], [], step, 0) for step in told["best_steps"]]
        made.positions_, *others = (
            {
                name: Positions.from_state(below(tensors, f"places{when}/{name}"))
                for name in layout.sensors
            }
            for when in ("", *told["folds"])
        )
        made.without_ = dict(zip(told["folds"], others, strict=True))
        made.scales_ = {}
        for there, *kinds in told["scales"]:
            parts, cells = ({k: Scale.from_state(v) for k, v in kind.items()} for kind in kinds)
            made.scales_[tuple(there)] = Scales(parts, cells, {})
        return made

    def _train(
        self, every: Tokens, own: NDArray[np.int64], number: int, folder: Path | None
    ) -> tuple[Network, Course]:
        """Train one network on its parts, less those it ends on."""
        order = np.random.default_rng([self.schedule.seed, 5, number]).permutation(own)
        few = max(1, len(own) // _STOP_SHARE)
        parts = [Tokens(*(rows[chosen] for rows in every)) for chosen in (order[few:], order[:few])]
        steps = min(self.schedule.most_steps, 20 + _STEPS_A_PART * len(own))
        schedule = replace(self.schedule, most_steps=steps, seed=self.schedule.seed + number)
        shape = self.layout.shape(self.width, self.layers, self.heads)
        checkpoint = None
        if folder is not None:
            meant = {
                "sensors": list(self.layout.sensors),
                "grid": list(self.layout.grid),
                "parts": len(own),
                "tokens": _fingerprint(parts[0]),
                "shape": list(shape),
                "schedule": asdict(schedule),
            }
            checkpoint = Checkpoint(folder, f"network{number}", meant)
        return trained(
            shape, parts[0], parts[1], self.layout.grid, self.layout.flat, self.layout.kept,
            schedule, checkpoint,
        )  # fmt: skip

    def _learn_scales(
        self, held: Sequence[Tokens], half: Sequence[int], folds: Sequence[int]
    ) -> None:
        """Score good parts as strangers, and learn places and scales from that."""
        self.without_: dict[int, dict[str, Positions]] = {}
        kept = self._strangers(held, half, folds)
        learnt = {name: parts.learnt(not parts.knows_nothing) for name, parts in kept.items()}
        self.positions_ = {name: told.positions for name, told in learnt.items()}
        for fold in sorted(set(folds)):
            self.without_[fold] = {
                name: told.positions if told.positions.is_flat else kept[name].without(fold)
                for name, told in learnt.items()
            }
        self.scales_ = {self.layout.sensors: scales_of(learnt, self.heavy)}
        few = range(0, len(held), -(-len(held) // _SUBSET_PARTS))
        geometry = self.layout.shape(1, 1, 1).geometry
        for there in subsets_of(self.layout.sensors):
            shown = torch.tensor([name in there for name in self.layout.sensors])
            left = [only(held[index], shown, geometry) for index in few]
            strangers = self._strangers(left, [half[k] for k in few], [folds[k] for k in few])
            told = {name: strangers[name].learnt(False) for name in self.layout.sensors}
            self.scales_[there] = scales_of(told, self.heavy)

    def _strangers(
        self, held: Sequence[Tokens], half: Sequence[int], folds: Sequence[int]
    ) -> dict[str, HeldOut]:
        """Score parts by the network that had not seen them; by their places, once known."""
        rng = np.random.default_rng(self.schedule.seed)
        kept = {name: HeldOut(len(held), rng, self.schedule.seed) for name in self.layout.sensors}
        nowhere = np.zeros(self.layout.grid, dtype=bool)
        for tokens, own, fold in zip(held, half, folds, strict=True):
            maps = self._errors(self.networks_[1 - own], tokens)
            for index, name in enumerate(self.layout.sensors):
                shown, score = maps[index], worst_of(maps[index], nowhere)
                if self.without_:
                    places = self.without_[fold][name]
                    shown, score = places.held_against(shown, score, nowhere)
                kept[name].take(shown, score, nowhere, fold)
        return kept

    def _errors(self, network: Network, tokens: Tokens) -> NDArray[np.float32]:
        """Give every cell's error (sensor, row, column), NaN where there is none."""
        ready = self._ready.get(id(network))
        if ready is None or ready.network is not network:
            ready = Foretelling(network, self.layout.flat, self.windows)
            self._ready[id(network)] = ready
        shown = (*ready(tokens), tokens.values, self.layout.kept, tokens.there)
        found = standing_out(*(part.numpy() for part in shown))
        return found.reshape(len(found), *self.layout.grid)


def _fingerprint(tokens: Tokens) -> float:
    """Sum up what is learnt from, to know it again."""
    return round(float(tokens.values.double().abs().sum()), 3)
