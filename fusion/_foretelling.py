"""The transformer at work: what it foretells of one scene, with everything prepared that can be.

Training computes with the network as it is written (`_network.Network`). A line asks the same
weights ten thousand times a day, one scene at a time; here

* what depends on weights and grid alone is computed once;
* queries stay in the grid's order, since each is worked on by itself, and only attention knows
  blocks: nothing is copied block by block but keys;
* scale and shift of every normalisation are multiplied into the weights that follow it;
  answers are normalised once, since they stay what the sensors showed.

The result is the network's, but for the order of sums.
"""

from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import gelu, linear

from mmdefect.jit import reordered

from ._attention import Keys, Rows, attended
from ._network import SPREADS, Layer, Network, waves
from ._tokens import Tokens
from ._windows import Windows

_LOG2E = 1.4426950408889634
_EPSILON = np.float32(1e-5)


class Foretelling:
    """A trained network, prepared for a grid.

    Parameters
    ----------
    network : Network
        On the CPU; what it learns later is not seen.
    flat : Tensor (cell, axis), float32
    windows : Windows
        Of all blocks.
    """

    def __init__(self, network: Network, flat: Tensor, windows: Windows) -> None:
        self.network, self.windows = network, windows
        own, width = network.shape.geometry, network.shape.width
        wide = width // network.shape.heads
        with torch.inference_mode():
            self.flat = network.flat(waves(flat))
            self.layers = [
                _Ready(layer, _LOG2E * wide**-0.5) for layer in cast(list[Layer], network.layers)
            ]
            tell = network.tell
            self.tell = (network.last.weight[:, None] * tell).contiguous()
            self.tell_bias = (network.last.bias @ tell)[:, None].contiguous()
        self.sets = np.zeros(network.shape.sensors, dtype=np.int64)
        if own >= 0:
            self.sets[own] = 1

    def __call__(self, tokens: Tokens) -> tuple[Tensor, Tensor]:
        """Foretell every cell from what lies around its block.

        Parameters
        ----------
        tokens : Tokens
            Of one scene.

        Returns
        -------
        Tensor (sensor, cell, dim), float32
            Mean.
        Tensor (sensor, cell, dim), float32
            Logarithm of the variance.
        """
        with torch.inference_mode():
            answers, rows = self._embedded(tokens)
            keys = Keys(self.windows, tokens.there.numpy())
            normed = _normed(answers)
            sets = self.sets.clip(max=len(answers) - 1)
            for layer in self.layers:
                rows = layer(rows, normed, sets, keys)
            out = torch.baddbmm(self.tell_bias, _normed(rows), self.tell)
            mean, spread = out.chunk(2, dim=-1)
            return mean, spread.clamp(*SPREADS)

    def _embedded(self, tokens: Tokens) -> tuple[Tensor, Tensor]:
        """Embed answers (set · answer, width) and queries (sensor, cell, width)."""
        net = self.network
        rows = torch.baddbmm(net.kind[:, None], tokens.values, net.read)
        plain = net.mixed(gelu(rows)).add_(rows).add_(self.flat)
        own = net.shape.geometry
        every = plain[None]
        where = self.flat.expand(len(self.sets), -1, -1)
        if tokens.placed.any():
            space = net.space(waves(tokens.place)) * tokens.placed[:, None]
            where = where + space
            every = (plain + space)[None]
            if own >= 0:
                where[own] = self.flat
                every = torch.stack([every[0], plain])
        weight = tokens.there[..., None].to(plain.dtype)
        shown = every * weight
        beside = shown.sum(1)[torch.from_numpy(self.sets.clip(max=len(every) - 1))]
        beside -= shown[0]
        if len(every) > 1:
            beside[own] = beside[own] + shown[0, own] - shown[1, own]
        beside /= (weight.sum(0) - weight).clamp_min_(1)
        asked = torch.bmm(beside, net.beside).add_(where).add_(net.asked[:, None])
        summary = self.windows.regions @ shown / (self.windows.regions @ weight).clamp_min_(1)
        nothing = net.nothing.expand(len(every), 1, -1)
        answers = torch.cat([every.flatten(1, 2), summary.flatten(1, 2), nothing], dim=1)
        return answers, asked


class _Ready:
    """One layer, its weights folded together."""

    def __init__(self, layer: Layer, scale: float) -> None:
        self.heads = layer.heads
        query, shift = _folded(layer.before, layer.query)
        self.query = (query * scale, shift * scale)
        self.told = _keys_first(layer)
        self.out = (layer.out.weight, layer.out.bias)
        wider, back = (cast(nn.Linear, layer.within[k]) for k in (0, 2))
        self.wider = _folded(layer.between, wider)
        self.back = (back.weight, back.bias)

    def __call__(
        self, rows: Tensor, answers: Tensor, sets: NDArray[np.int64], keys: Keys
    ) -> Tensor:
        """Ask: rows (sensor, cell, width), of normalised answers (set, answer, width)."""
        asked = linear(_normed(rows), *self.query)
        told = linear(answers, *self.told)
        found = torch.from_numpy(attended(asked.numpy(), told.numpy(), self.heads, sets, keys))
        rows = linear(found, *self.out).add_(rows)
        return linear(gelu(linear(_normed(rows), *self.wider)), *self.back).add_(rows)


def _folded(normed: nn.LayerNorm, after: nn.Linear) -> tuple[Tensor, Tensor]:
    """Multiply a normalisation's scale and shift into the weights that follow it."""
    return after.weight * normed.weight, after.bias + after.weight @ normed.bias


def _keys_first(layer: Layer) -> tuple[Tensor, Tensor]:
    """Fold what makes keys and values, whose heads take turns, so that all keys come first."""
    weight, shift = _folded(layer.keyed, layer.answer)
    order = torch.arange(len(shift)).reshape(layer.heads, 2, -1).transpose(0, 1).flatten()
    return weight[order], shift[order]


def _normed(rows: Tensor) -> Tensor:
    """Bring every row to mean 0 and variance 1, as a normalisation does."""
    found = torch.empty_like(rows)
    width = rows.shape[-1]
    _normalise(rows.numpy().reshape(-1, width), _EPSILON, found.numpy().reshape(-1, width))
    return found


@reordered
def _normalise(rows: Rows, epsilon: np.float32, found: Rows) -> None:
    """Bring rows (row, width) to mean 0 and variance 1."""
    count, width = rows.shape
    for place in range(count):
        row, own, one = rows[place], found[place], np.float32(1)
        total = np.float32(0)
        for d in range(width):
            total += row[d]
        mean, square = total / np.float32(width), np.float32(0)
        for d in range(width):
            square += (row[d] - mean) * (row[d] - mean)
        scale = one / np.sqrt(square / np.float32(width) + epsilon)
        for d in range(width):
            own[d] = (row[d] - mean) * scale
