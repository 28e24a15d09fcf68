"""What a step of training draws, and how wrong a prediction was.

Draws depend on the seed, the step and the scene alone: whatever process asks, however often, and
in whatever pieces a batch is worked off, the same is hidden.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ._network import Guess
from ._tokens import Tokens
from ._windows import Windows

_STEEPNESS = 0.5


@dataclass(frozen=True)
class Schedule:
    """How a network is trained.

    Parameters
    ----------
    most_steps : int
        Steps at most.
    patience : int
        Steps without a better loss on held-out parts after which training ends.
    batch : int
        Scenes a step.
    blocks : float
        Share of the blocks that are asked for in a step.
    rate : float
        Learning rate at its highest.
    hide_sensor, hide_block : float
        How likely a whole sensor, or one block of it, is hidden from the others' queries.
    seed : int
    compiled : bool
        Whether ``torch.compile`` is used.
    amp : bool or None
        Whether the network computes in bfloat16 (loss and weights stay float32); None for a GPU
        that can.
    """

    most_steps: int = 300
    patience: int = 100
    batch: int = 8
    blocks: float = 0.2
    rate: float = 3e-3
    hide_sensor: float = 0.2
    hide_block: float = 0.1
    seed: int = 0
    compiled: bool = False
    amp: bool | None = None


class Draw:
    """What a step draws: the same whatever process asks, and however often."""

    def __init__(self, schedule: Schedule, step: int, scenes: int, blocks: int) -> None:
        self.schedule, self.step = schedule, step
        rng = np.random.default_rng([schedule.seed, 2, step])
        wanted = min(schedule.batch, scenes)
        self.scenes = torch.from_numpy(rng.choice(scenes, wanted, replace=False))
        few = max(1, round(schedule.blocks * blocks))
        self.blocks = torch.from_numpy(np.sort(rng.choice(blocks, few, replace=False)))

    def hide(
        self, whole: Tokens, scenes: Tensor, windows: Windows, geometry: int
    ) -> tuple[Tensor, Tensor]:
        """Give what is to be seen of tokens, and of places, after hiding some."""
        there, placed = whole.there.clone(), whole.placed.clone()
        sensors, cells = there.shape[1:]
        for row, scene in enumerate(scenes.tolist()):
            rng = np.random.default_rng([self.schedule.seed, 3, self.step, scene])
            gone = rng.random(sensors) < self.schedule.hide_sensor
            drop = rng.random((sensors, len(windows.cells))) < self.schedule.hide_block
            hidden = np.zeros((sensors, cells), dtype=bool)
            blocks = windows.cells.cpu().numpy()
            for sensor, block in zip(*np.nonzero(drop), strict=True):
                hidden[sensor, blocks[block]] = True
            hidden |= gone[:, None]
            there[row] &= ~torch.from_numpy(hidden).to(there.device)
            if geometry >= 0:
                placed[row] &= ~torch.from_numpy(hidden[geometry]).to(there.device)
        return there, placed


def summed_loss(
    guess: Guess, whole: Tokens, windows: Windows, kept: Tensor, steep: float = _STEEPNESS
) -> tuple[Tensor, float]:
    """Sum the Gaussian negative log-likelihood over everything that was measured.

    Parameters
    ----------
    guess : Guess
    whole : Tokens
        What was there.
    windows : Windows
    kept : Tensor (sensor, dim), bool
    steep : float
        Weighs every number with its variance to this power, so that a mean which is still far
        off is not excused by a large spread; 0 is the likelihood itself [1]_.

    Returns
    -------
    Tensor ()
    float
        How many numbers.

    References
    ----------
    .. [1] Seitzer et al.: On the pitfalls of heteroscedastic uncertainty estimation, ICLR 2022.
    """
    mean, log_variance = guess.mean.float(), guess.log_variance.float()
    wanted = whole.values[:, :, windows.cells]
    counted = (whole.there[:, :, windows.cells, None] & kept[:, None, None]).float()
    wrong = 0.5 * ((wanted - mean).square() * (-log_variance).exp() + log_variance)
    if steep:
        wrong = wrong * (steep * log_variance.detach()).exp()
    return (wrong * counted).sum(), float(counted.sum())
