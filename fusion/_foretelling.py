"""The transformer at work: what it foretells of one scene, with everything prepared that can be.

Training computes with the network as it is written (`_network.Network`). A line asks the same
weights ten thousand times a day, one scene at a time; here

* what depends on weights and grid alone is computed once;
* queries stay in the grid's order, since each is worked on by itself, and only attention knows
  blocks: nothing is copied block by block but keys;
* scale and shift of every normalisation are multiplied into the weights that follow it;
  answers are normalised once, since they stay what the sensors showed;
* what lies between two products of matrices is one compiled pass.

The result is the network's, but for the order of sums.
"""

from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, from_numpy, nn
from torch.nn.functional import gelu, layer_norm, linear

from ._attention import Keys, attended
from ._network import SPREADS, Layer, Network, waves
from ._passes import Rows, added, embedded, opened
from ._powers import LOG2E
from ._tokens import Tokens
from ._windows import Windows


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
            self.flat: Tensor = network.flat(waves(flat))
            self.layers = [
                _Ready(layer, LOG2E * wide**-0.5) for layer in cast(list[Layer], network.layers)
            ]
            tell = network.last.weight[:, None] * network.tell
            shift = (network.last.bias @ network.tell)[:, None]
            self.tells = [
                (bias.contiguous(), told.contiguous())
                for bias, told in zip(shift.chunk(2, 2), tell.chunk(2, 2), strict=True)
            ]
            self.mixed, self.shift = network.mixed.weight.T, network.mixed.bias.numpy()
            self.space = torch.cat([network.space.weight, network.space.bias[:, None]], dim=1).T
            self.one = torch.ones(len(flat), 1)
            self.asked = network.asked.numpy()
            self.nothing = layer_norm(network.nothing, (width,)).numpy()
        self.regions = (windows.regions.argmax(0).numpy(), len(windows.regions))
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
        net, there = self.network, tokens.there.numpy()
        with torch.inference_mode():
            shown = torch.baddbmm(net.kind[:, None], tokens.values, net.read)
            shown += gelu(shown) @ self.mixed
            where = self._where(tokens).numpy()
            sets = self.sets.clip(max=len(where) - 1)
            seen = (there, self.regions, sets, self.nothing)
            answers, beside = embedded(shown.numpy(), self.shift, where, *seen)
            asked = torch.bmm(from_numpy(beside), net.beside).numpy()
            normed = opened(asked, where, sets, self.asked)
            keys = Keys(self.windows, there, sets)
            for layer in self.layers:
                normed = layer(asked, normed, from_numpy(answers), sets, keys)
            rows = from_numpy(normed)
            mean, spread = (torch.baddbmm(bias, rows, told) for bias, told in self.tells)
            return mean, spread.clamp_(*SPREADS)

    def _where(self, tokens: Tokens) -> Tensor:
        """Embed places (set, cell, width): with those in space, and without for their sensor."""
        if not tokens.placed.any():
            return self.flat[None]
        waved = torch.cat([waves(tokens.place), self.one], dim=1)
        where = self.flat.expand(2 if self.sets.any() else 1, -1, -1).clone()
        where[0].addmm_(waved.mul_(tokens.placed[:, None]), self.space)
        return where


class _Ready:
    """One layer, its weights folded together."""

    def __init__(self, layer: Layer, scale: float) -> None:
        self.heads = layer.heads
        query, shift = _folded(layer.before, layer.query)
        self.query = (query * scale, shift * scale)
        self.told, valued = _keys_first(layer)
        self.out = layer.out.weight.T
        self.out_shift = (layer.out.bias + layer.out.weight @ valued).numpy()
        wider, back = (cast(nn.Linear, layer.within[k]) for k in (0, 2))
        self.wider = _folded(layer.between, wider)
        self.back, self.back_shift = back.weight.T, back.bias.numpy()

    def __call__(
        self, rows: Rows, normed: Rows, answers: Tensor, sets: NDArray[np.int64], keys: Keys
    ) -> Rows:
        """Ask: rows (sensor, cell, width), changed in place, of answers (set, answer, width).

        Both come normalised; gives the rows' normalised end.
        """
        asked = linear(from_numpy(normed), *self.query)
        told = answers @ self.told
        found = from_numpy(attended(asked.numpy(), told.numpy(), self.heads, sets, keys))
        normed = added(rows, (found @ self.out).numpy(), self.out_shift)
        wide = gelu(linear(from_numpy(normed), *self.wider))
        return added(rows, (wide @ self.back).numpy(), self.back_shift)


def _folded(normed: nn.LayerNorm, after: nn.Linear) -> tuple[Tensor, Tensor]:
    """Multiply a normalisation's scale and shift into the weights that follow it."""
    return after.weight * normed.weight, after.bias + after.weight @ normed.bias


def _keys_first(layer: Layer) -> tuple[Tensor, Tensor]:
    """Fold what makes keys and values, whose heads take turns, so that all keys come first.

    Gives the weights (width, 2 · width) and what every value is shifted by (width,). A shift of
    all keys changes no share.
    """
    weight, shift = _folded(layer.keyed, layer.answer)
    order = torch.arange(len(shift)).reshape(layer.heads, 2, -1).transpose(0, 1).flatten()
    return weight[order].T, shift[order][len(shift) // 2 :]
