"""Which pixels make a patch strange: integrated gradients of its distance to the good one.

For features that can be differentiated (``timm``). The path goes from a featureless picture, the
frame heavily blurred, to the frame; the gradient of the strangest patch's distance to the good
patch it is held against is averaged along it and multiplied by the change [1]_. The pixels' shares
then sum to the patch's score less that of the blurred frame, up to the error of the quadrature.

References
----------
.. [1] Sundararajan, Taly, Yan: Axiomatic attribution for deep networks, ICML 2017.
"""

from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from mmdefect.contracts import Divided, Fusion
from mmdefect.errors import MmdefectError
from mmdefect.scene import present_in

__all__ = ["Gradients"]

_BLURRED_BY = 8.0


class Gradients:
    """Integrated gradients of every sensor's strangest patch.

    Parameters
    ----------
    steps : int
        Of the quadrature along the path.
    """

    explains = ("patch_score",)

    def __init__(self, steps: int = 32) -> None:
        self.steps = steps

    def attribute(self, fusion: Fusion, prediction: xr.Dataset, scene: xr.Dataset) -> xr.Dataset:
        """Follow the gradients.

        Parameters
        ----------
        fusion : Fusion
            Of memory banks, some of them on features that can be differentiated.
        prediction : Dataset
        scene : Dataset

        Returns
        -------
        Dataset
            ``attribution_map`` (sensor, y, x), NaN for the other sensors, summing over a sensor's
            pixels to its ``attribution`` (sensor): ``patch_score`` less ``baseline_score``.

        Raises
        ------
        MmdefectError
            When captum is not installed, or no sensor that is there has such features.
        """
        maps = xr.full_like(prediction["sensor_map"], np.nan)
        scores = np.full((2, maps.sizes["sensor"]), np.nan)
        there = present_in(scene)
        detectors = fusion.detectors_ if isinstance(fusion, Divided) else {}
        for index, name in enumerate(map(str, maps["sensor"].values)):
            told = self._of(detectors.get(name), scene) if name in there else None
            if told is not None:
                maps.loc[{"sensor": name}], scores[:, index] = told
        if np.isnan(scores).all():
            raise MmdefectError(
                f"{fusion!r} has no memory bank on features that can be differentiated, of a "
                "sensor that is there; fit with features 'timm:...', or ask 'occlusion'"
            )
        made = xr.Dataset({"attribution_map": maps})
        made["patch_score"], made["baseline_score"] = (("sensor", row) for row in scores)
        made["attribution"] = made["patch_score"] - made["baseline_score"]
        return made

    def _of(
        self, detector: Any, scene: xr.Dataset
    ) -> tuple[np.ndarray, tuple[float, float]] | None:
        """Attribute one sensor's strangest patch; None where that cannot be done."""
        extractor: Any = getattr(detector, "extractor", None)
        if not hasattr(extractor, "patches") or not hasattr(detector, "standardised"):
            return None
        aim = detector.recall(scene).aim(np.ones((scene.sizes["y"], scene.sizes["x"]), dtype=bool))
        if aim is None:
            return None

        def score(batch: Tensor) -> Tensor:
            grids = [extractor.patches(planes)[0] for planes in batch]
            rows = torch.stack([grid[:, aim.row, aim.column] for grid in grids])
            apart = detector.standardised(rows) - aim.target
            distance: Tensor = (apart.square().sum(1) + 1e-12).sqrt() / aim.reach
            return distance

        shown = extractor.shown(scene[detector.sensor])[0].clone()
        blank = _blurred(shown)
        found = _integrated()(score).attribute(
            shown[None].requires_grad_(),
            baselines=blank[None],
            n_steps=self.steps,
            method="gausslegendre",
            internal_batch_size=1,
        )
        with torch.no_grad():
            ends = score(torch.stack([shown, blank]))
        return found[0].detach().sum(0).numpy(), (float(ends[0]), float(ends[1]))


def _blurred(planes: Tensor) -> Tensor:
    """Give what is left of planes when nothing smaller than an eighth of them is seen."""
    from scipy.ndimage import gaussian_filter

    width = min(planes.shape[-2:]) / _BLURRED_BY
    smooth = gaussian_filter(planes.detach().numpy(), (0, width, width), mode="nearest")
    return torch.from_numpy(smooth)


def _integrated() -> Any:
    """Load captum's integrated gradients."""
    try:
        from captum.attr import IntegratedGradients
    except ImportError as error:
        raise MmdefectError(
            "integrated gradients are captum's, which is not installed; "
            "pip install 'mmdefect[explain]'"
        ) from error
    return IntegratedGradients
