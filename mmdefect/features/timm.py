"""Patch features from any timm backbone.

* Weights come from the model hub or from a local file, and loading is strict: no key may be
  missing, and the only ones left over may be those of the classification head that was taken
  off. A branch that silently starts at random has cost others whole result tables.
* Arguments of the construction (``pad_type``, ``bn_eps``) and the scaling of the input belong to
  the name: with the wrong padding every key loads and the features are wrong.
* The hub is asked only when features are first wanted.
* The network is run in the way that was found the quickest here (``_ways``).
"""

from collections.abc import Sequence
from difflib import get_close_matches
from functools import cached_property
from hashlib import sha256
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from mmdefect.errors import FeatureError
from mmdefect.features._contrast import contrast_of
from mmdefect.features._patches import as_patches, filled, onto_grid, pool_neighbours
from mmdefect.features._ways import Stages, Way, quickest
from mmdefect.features._weights import hub_file, load_strictly, read_weights
from mmdefect.scene import DERIVED

__all__ = ["Timm"]

_REDUCTIONS = (8, 16)
_MULTIPLE = 32


class Timm:
    """Features of chosen stages of a timm model, pooled over 3×3 patches and put on one grid.

    Parameters
    ----------
    model : str
        A name of ``timm.list_models()``, with or without a pretrained tag.
    weights : str or Path, optional
        A ``.safetensors`` file, or a ``.pt``/``.pth`` file that holds tensors only. Without it
        the hub's weights are taken.
    stages : int or sequence of int, optional
        Indices into the model's ``feature_info``; by default those of stride 8 and 16, or for a
        model of one stride those at a half and three quarters of its depth.
    size : int
        Longest side of the network's input in pixels; larger scenes are shrunk, and both sides
        are brought to a multiple of 32.
    mean, std : float or three floats, optional
        Scaling of the input from [0, 1]; by default the model's own.
    **construction
        Passed to ``timm.create_model``, e.g. ``pad_type="same"``, ``bn_eps=1e-3``.

    Raises
    ------
    FeatureError
        On construction when an option is not of its kind; on first use when there is no such
        model, file or stage, when the weights do not fit, or when they cannot be had.

    References
    ----------
    .. [1] Wightman: PyTorch image models, 2019. Stages, pooling and grid follow Roth et al.:
       Towards total recall in industrial anomaly detection, CVPR 2022.
    """

    def __init__(
        self,
        model: str = "mobilenetv2_100",
        weights: str | Path | None = None,
        stages: int | Sequence[int] | None = None,
        size: int = 384,
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] | None = None,
        **construction: Any,
    ) -> None:
        self.model = model
        self.weights = None if weights is None else Path(weights)
        self.stages = (stages,) if isinstance(stages, int) else stages
        self.size = size
        self.mean = mean
        self.std = std
        self.construction = construction
        self.scale: tuple[float, float] | None = None
        self._ways: dict[tuple[int, int], Way] = {}
        _check("stages", stages, Integral, "a stage's index or a tuple of them")
        _check("size", size, Integral, "a number of pixels", counts=(1,))
        _check("mean", mean, Real, "one number or a triple", counts=(1, 3))
        _check("std", std, Real, "one number or a triple", counts=(1, 3))

    @cached_property
    def name(self) -> str:
        """The spec in full; the weights are named with the first digits of their SHA-256."""
        file = self.weights_file()
        digest = sha256(file.read_bytes()).hexdigest()[:12]
        source = f"@{self.weights.name if self.weights else 'hub'}#{digest}"
        options = {
            "stages": self.stages and ",".join(map(str, self.stages)),
            "size": None if self.size == 384 else self.size,
            "mean": self.mean,
            "std": self.std,
            **self.construction,
        }
        query = "&".join(f"{key}={value}" for key, value in options.items() if value is not None)
        return f"timm:{self.model}{source}" + (f"?{query}" if query else "")

    def weights_file(self) -> Path:
        """Find the file of the weights: the one given, else the hub's.

        Raises
        ------
        FeatureError
            When the hub's cannot be had.
        """
        return self.weights or hub_file(self.model)

    @cached_property
    def network(self) -> torch.nn.Module:
        """The backbone without its head, with its weights."""
        network = self._built(num_classes=0)
        state = read_weights(self.weights_file())
        load_strictly(network, state, self._head_keys(network), self.model)
        return network.eval()

    @cached_property
    def _stages(self) -> Stages:
        """The backbone as what gives the chosen stages."""
        return Stages(self.network, self._indices)

    @cached_property
    def _scaling(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the network's input, per channel."""
        own: Any = self.network.pretrained_cfg
        mean = own["mean"] if self.mean is None else self.mean
        std = own["std"] if self.std is None else self.std
        return _three(mean), _three(std)

    @cached_property
    def _indices(self) -> list[int]:
        """The stages to take."""
        reductions = [stage["reduction"] for stage in self.network.feature_info]  # type: ignore[union-attr]
        if self.stages is None:
            chosen = [i for i, stride in enumerate(reductions) if stride in _REDUCTIONS]
            depth, several = len(reductions), len(set(reductions)) > 1
            return chosen if chosen and several else [depth // 2, (3 * depth) // 4]
        if any(not 0 <= stage < len(reductions) for stage in self.stages):
            raise FeatureError(
                f"stages {list(map(int, self.stages))} were asked for, but {self.model!r} has "
                f"{len(reductions)}, numbered from 0; choose among them"
            )
        return sorted(self.stages)

    def features(self, frame: xr.DataArray) -> xr.DataArray:
        """Describe patches.

        Parameters
        ----------
        frame : DataArray (…, y, x), float32
            A measurement; NaN where blind. What is not colour is first brought to [0, 1] by
            ``scale``; the first three channels are shown, the last one repeated where there are
            fewer. Of channels that each have a unit of their own the first is shown: one range
            cannot hold kelvins and radians.

        Returns
        -------
        DataArray (feature, y, x), float32
            On the finest chosen stage's grid; NaN in every feature of a mostly blind patch.
        """
        planes, measured = self.shown(frame)
        _ = self.network, self._scaling  # made here: inference mode would leave no gradients
        with torch.inference_mode():
            grid, sizes = self.patches(planes)
        stages = [f"stage {stage}" for stage, size in zip(self._indices, sizes, strict=True)
                  for _ in range(size)]  # fmt: skip
        return as_patches(grid, measured, stages)

    def shown(self, frame: xr.DataArray) -> tuple[Tensor, Tensor]:
        """Give the planes that the network is shown, and where they were measured.

        Parameters
        ----------
        frame : DataArray (…, y, x), float32

        Returns
        -------
        Tensor (3, y, x), float32
        Tensor (y, x), bool
        """
        planes, measured = _shown(frame)
        if frame.attrs["modality"] != "rgb":
            low, high = self.scale or _range([planes])
            planes = ((planes[:3] - low) / (high - low)).clamp(-0.5, 1.5)
        return filled(planes, measured)[torch.arange(3).clamp(max=len(planes) - 1)], measured

    def patches(self, planes: Tensor) -> tuple[Tensor, list[int]]:
        """Describe the patches of what is shown; differentiable.

        Parameters
        ----------
        planes : Tensor (3, y, x), float32

        Returns
        -------
        Tensor (feature, row, column), float32
        list of int
            Features of each stage.
        """
        grids = [pool_neighbours(grid) for grid in self._forward(planes)]
        finest = max(grids, key=lambda grid: grid.shape[-1]).shape[-2:]
        return torch.cat([onto_grid(grid, *finest) for grid in grids]), [len(g) for g in grids]

    def adapt(self, frames: Sequence[xr.DataArray]) -> None:
        """Fix the range that is shown to the network, from frames of good parts.

        Parameters
        ----------
        frames : sequence of DataArray (…, y, x)
            Of one sensor; colour needs no range.
        """
        shown = [frame for frame in frames if frame.attrs["modality"] != "rgb"]
        if shown:
            self.scale = _range([_shown(frame)[0] for frame in shown])

    def _forward(self, planes: Tensor) -> list[Tensor]:
        """Run the network up to the last chosen stage."""
        mean, std = self._scaling
        shape = _input_shape(planes.shape[-2], planes.shape[-1], self.size)
        sized = torch.nn.functional.interpolate(
            planes[None], size=shape, mode="bilinear", align_corners=False, antialias=True
        )
        try:
            grids = self._way(shape)((sized - mean) / std)
        except AssertionError as error:
            said = str(error).rstrip(".")
            raise FeatureError(
                f"{self.model!r} was given {shape[0]}x{shape[1]} pixels, but promises another size "
                f"({said}); let it take any by '?dynamic_img_size=True', or choose another model"
            ) from error
        return [grid[0] for grid in grids]

    def _way(self, shape: tuple[int, int]) -> Way:
        """Give the way in which the network is run: plainly where gradients are wanted."""
        if not torch.is_inference_mode_enabled():
            return self._stages
        if shape not in self._ways:
            shown = torch.zeros(1, 3, *shape).uniform_(-1, 1, generator=torch.Generator())
            self._ways[shape] = quickest(self._stages, self.name, shown)
        return self._ways[shape]

    def _built(self, **arguments: Any) -> torch.nn.Module:
        """Construct the model, refusing names and arguments that timm does not know."""
        import timm

        if not timm.is_model(self.model.partition(".")[0]):
            near = get_close_matches(self.model, timm.list_models(), 5)
            raise FeatureError(
                f"timm has no model {self.model!r}; near: {', '.join(near) or 'none'}; correct the "
                "name, timm.list_models() knows all"
            )
        try:
            network: torch.nn.Module = timm.create_model(
                self.model, **arguments, **self.construction
            )
        except Exception as error:  # the models' constructors raise whatever they like
            said = str(error).partition("\n")[0]
            raise FeatureError(
                f"{self.model!r} cannot be constructed with {self.construction}: {said}"
            ) from error
        if not hasattr(network, "forward_intermediates"):
            raise FeatureError(f"{self.model!r} gives no intermediate features; choose another")
        return network

    def _head_keys(self, headless: torch.nn.Module) -> set[str]:
        """Name the parameters that only the classification head has."""
        return set(self._built().state_dict()) - set(headless.state_dict())


def _check(
    name: str, given: object, kind: type, promised: str, counts: Sequence[int] | None = None
) -> None:
    """Refuse an option that is not a number of a kind, or as many as are promised."""
    if given is None:
        return
    values = given if isinstance(given, (list, tuple)) else [given]
    fits = all(isinstance(value, kind) and not isinstance(value, bool) for value in values)
    if not fits or not values or (counts is not None and len(values) not in counts):
        raise FeatureError(
            f"{name} is {given!r}, but {promised} was promised; correct the spec of the features"
        )


def _shown(frame: xr.DataArray) -> tuple[Tensor, Tensor]:
    """Give what is shown of a frame (channel, y, x), and where it was measured (y, x)."""
    planes, measured = contrast_of(frame)
    return (planes[:1] if frame.attrs["units"] == DERIVED else planes), measured


def _range(planes: Sequence[Tensor]) -> tuple[float, float]:
    """Give the range that holds 99 % of the values."""
    values = torch.cat([plane[torch.isfinite(plane)] for plane in planes]).numpy()
    if values.size == 0:
        return 0.0, 1.0
    low, high = np.quantile(values, (0.005, 0.995))
    return float(low), float(max(high, low + 1e-6))


def _three(values: float | Sequence[float]) -> Tensor:
    """Give one number per colour, shaped for the network's input."""
    listed = [values] * 3 if isinstance(values, (int, float)) else list(values)
    return torch.tensor(listed, dtype=torch.float32).reshape(1, 3, 1, 1)


def _input_shape(height: int, width: int, longest: int) -> tuple[int, int]:
    """Shrink to the longest side, then round to what every backbone takes."""
    shrink = min(1.0, longest / max(height, width))

    def rounded(side: int) -> int:
        return max(_MULTIPLE, round(side * shrink / _MULTIPLE) * _MULTIPLE)

    return rounded(height), rounded(width)
