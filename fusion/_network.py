"""A small transformer that predicts what a sensor shows from what the others show around it.

Every cell of a block asks, as a query of sensor type, position and what the other sensors show in
that very cell; tokens of all sensors around it answer, as keys. Keys stay what the sensors showed,
layer after layer: so a sensor that is hidden from its own queries cannot reach them by way of
another sensor's tokens, and one pass predicts everything.
The answer is a normal distribution: mean and spread, so that texture which nobody can foretell
counts as little as it deserves [1]_.

References
----------
.. [1] Kendall, Gal: What uncertainties do we need in Bayesian deep learning, NeurIPS 2017.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from ._tokens import BLOCK, Tokens
from ._windows import Windows

_WAVES = 6
SPREADS = (-5.0, 2.0)


class Guess(NamedTuple):
    """What the network expects.

    Attributes
    ----------
    mean, log_variance : Tensor (scene, sensor, block, cell of the block, dim)
    """

    mean: Tensor
    log_variance: Tensor


class Shape(NamedTuple):
    """Everything that decides the network's parameters.

    Attributes
    ----------
    sensors, dims, width, layers, heads : int
    geometry : int
        The sensor that the places in space come from; −1 without one.
    """

    sensors: int
    dims: int
    width: int = 64
    layers: int = 2
    heads: int = 4
    geometry: int = -1


class Network(nn.Module):
    """The transformer.

    Parameters
    ----------
    shape : Shape
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        sensors, dims, width = shape.sensors, shape.dims, shape.width
        self.read = nn.Parameter(torch.randn(sensors, dims, width) * dims**-0.5)
        self.kind = nn.Parameter(torch.randn(sensors, width) * 0.5)
        self.asked = nn.Parameter(torch.randn(sensors, width) * 0.5)
        self.beside = nn.Parameter(torch.randn(sensors, width, width) * width**-0.5)
        self.mixed = nn.Linear(width, width)
        self.flat = nn.Linear(4 * _WAVES, width)
        self.space = nn.Linear(6 * _WAVES, width)
        self.nothing = nn.Parameter(torch.randn(width) * 0.5)
        self.layers = nn.ModuleList(Layer(width, shape.heads) for _ in range(shape.layers))
        self.last = nn.LayerNorm(width)
        self.tell = nn.Parameter(torch.randn(sensors, width, 2 * dims) * 0.1 * width**-0.5)

    def forward(self, shown: Tokens, flat: Tensor, windows: Windows) -> Guess:
        """Predict every sensor in every block.

        Parameters
        ----------
        shown : Tokens
            Of scenes, stacked; ``there`` is False for what is not to be seen.
        flat : Tensor (cell, axis), float32
            The cells' places on the grid, −1 to 1.
        windows : Windows
            Of the blocks that are asked for.

        Returns
        -------
        Guess
        """
        where = self.flat(waves(flat))
        plain = self._keys(shown, where)
        space = torch.where(shown.placed[..., None], self.space(waves(shown.place)), 0.0)
        others = [s for s in range(self.shape.sensors) if s != self.shape.geometry]
        told = {s: rows for s, rows in zip(
            others,
            self._asked(others, plain + space[:, None], where + space, shown.there, windows),
            strict=True)}  # fmt: skip
        if self.shape.geometry >= 0:
            own = [self.shape.geometry]
            every = where.expand(len(plain), -1, -1)
            told[own[0]] = self._asked(own, plain, every, shown.there, windows)[0]
        rows = torch.stack([told[s] for s in range(self.shape.sensors)], dim=1)
        out = torch.einsum("bspcw,swd->bspcd", self.last(rows), self.tell)
        mean, spread = out.chunk(2, dim=-1)
        return Guess(mean, spread.clamp(*SPREADS))

    def _keys(self, shown: Tokens, where: Tensor) -> Tensor:
        """Embed the tokens (scene, sensor, cell, width), without their places in space."""
        rows = torch.einsum("bsnd,sdw->bsnw", shown.values, self.read) + self.kind[:, None]
        keys: Tensor = self.mixed(gelu(rows)) + rows + where
        return keys

    def _asked(
        self, targets: list[int], keys: Tensor, where: Tensor, there: Tensor, windows: Windows
    ) -> list[Tensor]:
        """Let the queries of some sensors go through the layers.

        Places are embedded by ``where`` (scene, cell, width).
        """
        if not targets:
            return []
        count, (blocks, size) = len(keys), windows.cells.shape
        cells = windows.cells.flatten()
        beside = _beside(targets, keys.index_select(2, cells), there[:, :, cells])
        asked = torch.einsum("bspv,svw->bspw", beside, self.beside[targets])
        asked = asked + where[:, None, cells] + self.asked[targets][:, None]
        asked = asked.reshape(count, len(targets), blocks, size, -1).transpose(1, 2)
        rows = asked.flatten(2, 3).flatten(0, 1)
        summary = _summaries(keys, there, windows)
        nothing = self.nothing.expand(count, 1, -1)
        near, places = windows.answering(self.shape.sensors)
        close = keys.index_select(2, near).flatten(1, 2)
        answers = torch.cat([close, summary.flatten(1, 2), nothing], dim=1)
        seen = torch.where(_seen(targets, there, windows), 0.0, -torch.inf)
        for layer in self.layers:
            rows = layer(rows, answers, places, seen)
        rows = rows.reshape(count, blocks, len(targets), size, -1)
        return list(rows.unbind(2))


class Layer(nn.Module):
    """Cross-attention from queries to tokens, and a network for each query."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.between, self.keyed = (nn.LayerNorm(width) for _ in range(3))
        self.query, self.out = nn.Linear(width, width), nn.Linear(width, width)
        self.answer = nn.Linear(width, 2 * width)
        self.within = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, rows: Tensor, answers: Tensor, places: Tensor, seen: Tensor) -> Tensor:
        """Ask.

        Rows (scene · block, query, width); answers (scene, answer, width), of which each block is
        given those at its places (block, key).
        """
        told = self.answer(self.keyed(answers)).unflatten(-1, (self.heads, 2, -1))
        key, value = (self._heads(self._given(half, places)) for half in told.unbind(-2))
        asked = self._heads(self.query(self.before(rows)))
        found = scaled_dot_product_attention(asked, key, value, attn_mask=seen.to(asked.dtype))
        rows = rows + self.out(found.transpose(1, 2).flatten(2))
        after: Tensor = rows + self.within(self.between(rows))
        return after

    def _given(self, told: Tensor, places: Tensor) -> Tensor:
        """Give each block its keys, or its values (scene · block, key, width).

        They are parted before, since their gradients come apart and would be copied together.
        """
        rows = told.flatten(-2).index_select(1, places.flatten())
        return rows.reshape(-1, places.shape[1], rows.shape[2])

    def _heads(self, rows: Tensor) -> Tensor:
        """Split (group, row, width) into heads (group, head, row, width of a head)."""
        return rows.reshape(*rows.shape[:2], self.heads, -1).transpose(1, 2)


def _seen(targets: list[int], there: Tensor, windows: Windows) -> Tensor:
    """Tell which keys each target's queries may see: (scene · block, 1, query, key)."""
    near = there[:, :, windows.window] & windows.inside
    region = (there.float() @ windows.regions.T > 0)[:, :, None].expand(
        -1, -1, len(windows.cells), -1
    )
    always = torch.ones_like(near[:, 0, :, :1])
    masks = []
    for target in targets:
        own_near, own_region = near.clone(), region.clone()
        own_near[:, target] &= ~windows.hidden
        own_region[:, target] &= windows.clear
        parts = [m.transpose(1, 2).flatten(2) for m in (own_near, own_region)]
        masks.append(torch.cat([*parts, always], dim=2))
    seen = torch.stack(masks, dim=2).repeat_interleave(BLOCK**2, dim=2)
    return seen.flatten(0, 1)[:, None]


def _beside(targets: list[int], keys: Tensor, there: Tensor) -> Tensor:
    """Average what the other sensors show in the same cell (scene, target, cell, width)."""
    weight = there.to(keys.dtype)[..., None]
    shown = keys * weight
    left = weight.sum(1, keepdim=True) - weight[:, targets]
    return (shown.sum(1, keepdim=True) - shown[:, targets]) / left.clamp_min(1)


def _summaries(keys: Tensor, there: Tensor, windows: Windows) -> Tensor:
    """Average a sensor's tokens over each region (scene, sensor, region, width); 0 without any."""
    weight = there.to(keys.dtype)
    count = weight @ windows.regions.T
    total = windows.regions @ (keys * weight[..., None])
    return total / count.clamp_min(1)[..., None]


def waves(places: Tensor) -> Tensor:
    """Describe places by sines and cosines of doubling frequency."""
    factor = torch.pi * 2.0 ** torch.arange(_WAVES, device=places.device) / 2
    angles = (places[..., None] * factor).flatten(-2)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)
