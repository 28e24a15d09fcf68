"""Training the transformer: on good parts only, to foretell what is hidden.

* Every step draws scenes, blocks to ask for, whole sensors to hide and blocks of the others to
  hide. Draws depend on the seed and the step alone: the same seed gives the same weights, a run
  that was interrupted goes on as if it had not been, and several processes share one batch.
* A batch that does not fit the memory is worked off in halves, whose gradients add up to the same.
* Some good parts are kept out of training; where they are foretold best, training ends.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmdefect.errors import MmdefectError
from mmdefect.progress import track_told

from . import _together
from ._lessons import Draw, Schedule, summed_loss
from ._network import Network, Shape
from ._resume import Checkpoint
from ._tokens import Tokens
from ._windows import Windows, windows_of

_STOP_PARTS = 64
_EVERY = 25
_GIVEN_BACK = (1 << 25) - (1 << 17)
"""Bytes asked for and given back at once, so that a step's memory is kept for the next.

glibc hands freed memory back to the system above a threshold that follows the largest block which
was ever given back, 32 MiB at most; to have it again costs a step thousands of new pages.
"""


@dataclass
class Course:
    """How training went.

    Attributes
    ----------
    losses : list of float
        Of every step.
    held_out : list of tuple of int and float
        Step, and the loss on held-out parts.
    best_step : int
    micro : int
        Scenes worked on at once, after what the memory had to say.
    """

    losses: list[float]
    held_out: list[tuple[int, float]]
    best_step: int
    micro: int


def device_here() -> torch.device:
    """Choose the device: a GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def trained(
    shape: Shape,
    learn: Tokens,
    stop: Tokens,
    grid: tuple[int, int],
    flat: Tensor,
    kept: Tensor,
    schedule: Schedule,
    checkpoint: Checkpoint | None = None,
) -> tuple[Network, Course]:
    """Train a network.

    Parameters
    ----------
    shape : Shape
    learn, stop : Tokens
        Good parts to learn from, and to end on.
    grid : tuple of int
        Rows and columns of cells.
    flat : Tensor (cell, axis), float32
    kept : Tensor (sensor, dim), bool
        Which numbers of a sensor's tokens mean something.
    schedule : Schedule
    checkpoint : Checkpoint, optional
        Where to go on from and to write to.

    Returns
    -------
    Network
        With the weights that foretold the held-out parts best, on the CPU.
    Course

    Raises
    ------
    MmdefectError
        When the loss is no number any more, or not even one scene fits the memory.
    """
    return _Trainer(shape, learn, stop, grid, flat, kept, schedule, checkpoint).run()


class _Trainer:
    """One training, from the first step to the last."""

    def __init__(
        self,
        shape: Shape,
        learn: Tokens,
        stop: Tokens,
        grid: tuple[int, int],
        flat: Tensor,
        kept: Tensor,
        schedule: Schedule,
        checkpoint: Checkpoint | None,
    ) -> None:
        self.schedule, self.checkpoint = schedule, checkpoint
        self.device = device_here()
        self.learn, self.stop = learn, Tokens(*(part[:_STOP_PARTS] for part in stop))
        self.flat, self.kept = flat.to(self.device), kept.to(self.device)
        self.windows = windows_of(grid).to(self.device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(schedule.seed)
            self.network = Network(shape).to(self.device)
        self.runs = torch.compile(self.network) if schedule.compiled else self.network
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), schedule.rate, weight_decay=0.02
        )
        self.course = Course([], [], 0, schedule.batch)
        self.best = _weights(self.network)
        torch.empty(_GIVEN_BACK, dtype=torch.uint8)

    def run(self) -> tuple[Network, Course]:
        """Train until the end."""
        start = self._resumed()
        steps: Iterable[int] = range(start, self.schedule.most_steps)
        for step in track_told(steps, len(range(start, self.schedule.most_steps)), self._told):
            if self._is_over(step):
                break
            self._step(step)
            if (step + 1) % _EVERY == 0 or step + 1 == self.schedule.most_steps:
                self._look(step + 1)
        self.network.load_state_dict(self.best)
        return self.network.cpu().eval(), self.course

    def _told(self) -> str:
        """Say how it goes, beside the bar."""
        if not self.course.losses:
            return "training the transformer"
        held = f", held-out {self.course.held_out[-1][1]:.3f}" if self.course.held_out else ""
        return f"training the transformer: loss {self.course.losses[-1]:.3f}{held}"

    def _is_over(self, step: int) -> bool:
        return bool(self.course.held_out) and step - self.course.best_step >= max(
            self.schedule.patience, _EVERY
        )

    def _step(self, step: int) -> None:
        """Learn from one batch."""
        drawn = Draw(self.schedule, step, len(self.learn.values), len(self.windows.cells))
        mine = drawn.scenes[_together.rank() :: _together.size()]
        for group in self.optimiser.param_groups:
            group["lr"] = self.schedule.rate * _pace(step, self.schedule.most_steps)
        self.network.train()
        while True:
            self.optimiser.zero_grad()
            try:
                summed, count = self._gradients(drawn, mine)
                break
            except (MemoryError, RuntimeError) as error:
                self._halve(error)
        summed, count = _together.added(self.network, summed, count)
        loss = summed / max(count, 1.0)
        self._check(loss, step)
        for parameter in self.network.parameters():
            if parameter.grad is not None:
                parameter.grad /= max(count, 1.0)
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self.course.losses.append(loss)

    def _gradients(self, drawn: "Draw", mine: Tensor) -> tuple[float, float]:
        """Add up this process's gradients; give the loss's sum, and of how many numbers."""
        summed, count = 0.0, 0.0
        windows = self.windows.only(drawn.blocks.to(self.device))
        for part in torch.split(mine, self.course.micro):
            loss, numbers = self._loss(self._shown(part), drawn, part, windows)
            loss.backward()  # type: ignore[no-untyped-call]
            summed, count = summed + float(loss.detach()), count + numbers
        return summed, count

    def _shown(self, scenes: Tensor) -> Tokens:
        """Bring scenes to the device."""
        values, there, place, placed = (part[scenes].to(self.device) for part in self.learn)
        return Tokens(values.float(), there, place.float(), placed)

    def _loss(
        self, whole: Tokens, drawn: "Draw", scenes: Tensor, windows: Windows
    ) -> tuple[Tensor, float]:
        """Hide something, foretell it, and sum how wrong it was over all numbers."""
        there, placed = drawn.hide(whole, scenes, self.windows, self.network.shape.geometry)
        shown = Tokens(whole.values, there, whole.place, placed)
        amp = self.schedule.amp
        if amp is None:
            amp = self.device.type == "cuda" and torch.cuda.is_bf16_supported()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=amp):
            guess = self.runs(shown, self.flat, windows)
        return summed_loss(guess, whole, windows, self.kept)

    def _halve(self, error: BaseException) -> None:
        """Work on half as many scenes at once, where the memory was too small."""
        if not is_out_of_memory(error):
            raise error
        if self.course.micro == 1:
            raise MmdefectError(
                "one scene alone does not fit the memory while the transformer is trained; "
                "choose fewer cells or a smaller width"
            ) from error
        self.course.micro //= 2
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _check(self, loss: float, step: int) -> None:
        if not np.isfinite(loss):
            raise MmdefectError(
                f"the loss of the transformer was {loss} at step {step}, a finite one was "
                "promised; look for features that are not finite, or lower the learning rate "
                f"({self.schedule.rate:g})"
            )

    def _look(self, step: int) -> None:
        """Hold the network against the parts kept out, and keep its weights if it is better."""
        self.network.eval()
        summed, count = 0.0, 0.0
        with torch.no_grad():
            order = torch.arange(len(self.stop.values))
            for part in torch.split(order, max(1, self.course.micro // 2)):
                whole = Tokens(*(rows[part].to(self.device) for rows in self.stop))
                whole = Tokens(whole.values.float(), whole.there, whole.place.float(), whole.placed)
                guess = self.network(whole, self.flat, self.windows)
                loss, numbers = summed_loss(guess, whole, self.windows, self.kept, steep=0.0)
                summed, count = summed + float(loss), count + numbers
        told = summed / max(count, 1.0)
        self._check(told, step)
        if not self.course.held_out or told < min(loss for _, loss in self.course.held_out):
            self.best, self.course.best_step = _weights(self.network), step
        self.course.held_out.append((step, told))
        if self.checkpoint is not None and _together.rank() == 0:
            self.checkpoint.write(_state(self), asdict(self.course))

    def _resumed(self) -> int:
        """Go on from the checkpoint; give the step to begin with."""
        found = self.checkpoint.read() if self.checkpoint is not None else None
        if found is None:
            return 0
        tensors, told = found
        _restore(self, tensors)
        held = [(int(step), float(loss)) for step, loss in told["held_out"]]
        self.course = Course(told["losses"], held, told["best_step"], told["micro"])
        return len(self.course.losses)


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error says that memory is short."""
    short = ("out of memory", "can't allocate memory", "not enough memory")
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(
        words in str(error).lower() for words in short
    )


def _pace(step: int, most: int) -> float:
    """Warm up, then cool down along a cosine."""
    warm = min(1.0, (step + 1) / 30)
    return warm * (0.05 + 0.95 * 0.5 * (1 + float(np.cos(np.pi * step / max(most, 1)))))


def _weights(network: Network) -> dict[str, Tensor]:
    return {name: held.detach().clone() for name, held in network.state_dict().items()}


def _state(trainer: _Trainer) -> dict[str, Tensor]:
    """Give everything that the next steps depend on, as named tensors."""
    tensors = {f"network/{name}": held for name, held in _weights(trainer.network).items()}
    tensors |= {f"best/{name}": held for name, held in trainer.best.items()}
    for number, held in trainer.optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser/{number}/{name}": value for name, value in held.items()}
    return tensors


def _restore(trainer: _Trainer, tensors: dict[str, Tensor]) -> None:
    """Bring a trainer to where it was."""
    own: dict[str, dict[str, Any]] = {"network": {}, "best": {}}
    moments: dict[int, dict[str, Tensor]] = {}
    for key, held in tensors.items():
        kind, _, name = key.partition("/")
        if kind == "optimiser":
            number, _, name = name.partition("/")
            moments.setdefault(int(number), {})[name] = held
        else:
            own[kind][name] = held.to(trainer.device)
    trainer.network.load_state_dict(own["network"])
    trainer.best = own["best"]
    groups = trainer.optimiser.state_dict()["param_groups"]
    trainer.optimiser.load_state_dict({"state": moments, "param_groups": groups})
