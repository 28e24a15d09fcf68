"""Mappings from every sensor's features to every other's, as CFM has them.

Three linear layers with GELU between and no norm; the hidden width is the mean of both ends'
(960 between 768 and 1152 as published). They are trained together, which changes nothing: no two
share a parameter, and Adam scales each by itself.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from mmdefect.errors import MmdefectError
from mmdefect.progress import track

from ._tokens import Tokens

_RATE = 1e-3
_PARTS_A_STEP = 4
_LEAST_STEPS = 300


class Pairs(nn.Module):
    """One mapping for each ordered pair of sensors.

    Parameters
    ----------
    widths : list of int
        Features of each sensor.
    """

    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        self.widths = widths
        self.maps = nn.ModuleDict(
            {
                f"{one}-{other}": _mapping(widths[one], widths[other])
                for one in range(len(widths))
                for other in range(len(widths))
                if one != other
            }
        )

    def forward(self, values: Tensor, one: int, other: int) -> Tensor:
        """Map rows (row, feature) of one sensor to another's."""
        mapped: Tensor = self.maps[f"{one}-{other}"](values[:, : self.widths[one]])
        return mapped

    def between(self) -> list[tuple[int, int]]:
        """List the ordered pairs."""
        count = range(len(self.widths))
        return [(one, other) for one in count for other in count if one != other]


def _mapping(one: int, other: int) -> nn.Sequential:
    hidden = max(1, (one + other) // 2)
    return nn.Sequential(
        nn.Linear(one, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(),
        nn.Linear(hidden, other),
    )  # fmt: skip


def cosine_loss(foretold: Tensor, shown: Tensor) -> Tensor:
    """Give one minus the cosine, averaged over rows (row, feature)."""
    return 1 - (normalize(foretold, dim=1) * normalize(shown, dim=1)).sum(1).mean()


def trained_pairs(parts: Tokens, kept: Tensor, epochs: int, seed: int) -> Pairs:
    """Train the mappings on good parts.

    Parameters
    ----------
    parts : Tokens
        Of scenes, stacked.
    kept : Tensor (sensor, dim), bool
        Which numbers of a sensor's tokens mean something.
    epochs : int
        At least; as many as make 300 steps where there are few parts.
    seed : int

    Returns
    -------
    Pairs

    Raises
    ------
    MmdefectError
        When the loss is no number any more.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        pairs = Pairs(kept.sum(1).tolist())
    optimiser = torch.optim.Adam(pairs.parameters(), _RATE)
    rng = np.random.default_rng(seed)
    epochs = max(epochs, -(-_LEAST_STEPS * _PARTS_A_STEP // len(parts.values)))
    for epoch in track(range(epochs), epochs, "training the mappings"):
        order = torch.from_numpy(rng.permutation(len(parts.values)))
        for chosen in torch.split(order, _PARTS_A_STEP):
            loss = _loss(pairs, parts.values[chosen], parts.there[chosen])
            if not torch.isfinite(loss):
                raise MmdefectError(
                    f"the loss of the mapping was {float(loss)} in epoch {epoch}, a finite one was "
                    "promised; look for features that are not finite"
                )
            if loss.requires_grad:
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
    return pairs.eval()


def _loss(pairs: Pairs, values: Tensor, there: Tensor) -> Tensor:
    """Add up the losses of all mappings on some parts (part, sensor, cell, dim)."""
    total = torch.zeros(())
    for one, other in pairs.between():
        both = there[:, one] & there[:, other]
        if both.any():
            foretold = pairs(values[:, one][both], one, other)
            total = total + cosine_loss(foretold, values[:, other][both][:, : pairs.widths[other]])
    return total


def distances(pairs: Pairs, tokens: Tokens) -> Tensor:
    """Give the distance between normalised features, foretold and shown.

    Parameters
    ----------
    pairs : Pairs
    tokens : Tokens
        Of one scene.

    Returns
    -------
    Tensor (sensor, sensor, cell), float32
        From the first to the second, 0 to 2; NaN where one of them was blind, and from a sensor to
        itself.
    """
    count, cells = tokens.there.shape
    found = torch.full((count, count, cells), torch.nan)
    with torch.inference_mode():
        for one, other in pairs.between():
            both = tokens.there[one] & tokens.there[other]
            foretold = normalize(pairs(tokens.values[one][both], one, other), dim=1)
            shown = normalize(tokens.values[other][both][:, : pairs.widths[other]], dim=1)
            found[one, other, both] = (foretold - shown).norm(dim=1)
    return found
