"""An explanation put together: shares, regions, what they measure, what they are held against.

The shares reuse the evidence that is there. The good patches are looked up once a sensor, and all
regions share that; what is computed anew for a counterfactual is the map, not the features.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mmdefect.contracts import Divided, Fusion, Memory
from mmdefect.errors import SceneError
from mmdefect.explain._channels import memories_of
from mmdefect.explain._measures import cores_of, measures_of
from mmdefect.explain._told import Counterfactual, Explanation, Finding
from mmdefect.explain.shapley import Shapley
from mmdefect.judging import Judge, regions_with_pixels
from mmdefect.peaks import map_of
from mmdefect.regions import Mask, Region, surface_area
from mmdefect.scene import present_in
from mmdefect.usual import Usual
from mmdefect.zones import Place

_ASKED = 3
"""Regions whose counterfactuals are computed; the most surprising ones."""


def explained(
    judge: Judge,
    fusion: Fusion,
    scene: xr.Dataset,
    prediction: xr.Dataset,
    places: Sequence[Place],
    nearest: int = 3,
    usual: Usual | None = None,
) -> Explanation:
    """Explain a prediction.

    Parameters
    ----------
    judge : Judge
        Who judged it.
    fusion : Fusion
        Who predicted it.
    scene : Dataset
    prediction : Dataset
        Judged.
    places : sequence of Place
    nearest : int
        Good parts told beside a patch.
    usual : Usual, optional
        What good parts measure at each place.

    Returns
    -------
    Explanation

    Raises
    ------
    SceneError
        When the prediction is of another scene.
    """
    _check(scene, prediction)
    shares = Shapley().attribute(fusion, prediction, scene)
    memories = memories_of(fusion, scene)
    areas = {place.grid: surface_area(scene, place.grid) for place in places}
    grids = {place.name: place.grid for place in places}
    found = regions_with_pixels(judge, prediction, places, areas)
    everywhere = np.ones((scene.sizes["y"], scene.sizes["x"]), dtype=bool)
    cores = _cores(judge, prediction, places, found)
    together = np.any([~everywhere, *cores], axis=0)
    changed = _Changed(judge, fusion, scene, prediction, places)
    apart = _apart(scene, usual) if found else {}
    findings = []
    for number, ((region, pixels), core) in enumerate(zip(found, cores, strict=True)):
        asked = {name: memories[name] for name in region.sensors if name in memories}
        matches = (memory.match(pixels, nearest) for memory in asked.values())
        grid = grids[region.place]
        findings.append(
            Finding(
                region,
                shares_of(shares, core),
                measures_of(scene, fusion, core, together, grid, areas[grid], apart),
                tuple(match for match in matches if match is not None),
                changed.counterfactuals(asked, pixels) if number < _ASKED else (),
            )
        )
    matches = (memory.match(everywhere, nearest) for memory in memories.values())
    return Explanation(
        prediction,
        shares["attribution"],
        shares["attribution_map"],
        tuple(match for match in matches if match is not None),
        tuple(findings),
        guarantee(judge, prediction),
        memories,
    )


def _check(scene: xr.Dataset, prediction: xr.Dataset) -> None:
    """Refuse a prediction of another scene."""
    pairs = [("capture", scene.attrs.get("capture"), prediction.attrs.get("capture"))]
    pairs += [(f"size along {axis}", scene.sizes[axis], prediction.sizes[axis]) for axis in "yx"]
    for what, own, told in pairs:
        if own != told:
            raise SceneError(
                f"the prediction is of another scene: its {what} is {told!r}, but {own!r} was "
                "given to be explained; predict this scene, or leave the prediction out"
            )


def _apart(scene: xr.Dataset, usual: Usual | None) -> dict[str, NDArray[np.float64]]:
    """Say how far the part is from good ones, place by place, by sensor."""
    if usual is None:
        return {}
    told = {name: usual.apart(name, scene[name]) for name in present_in(scene)}
    return {name: apart for name, apart in told.items() if apart is not None}


def _cores(
    judge: Judge,
    prediction: xr.Dataset,
    places: Sequence[Place],
    found: Sequence[tuple[Region, Mask]],
) -> list[Mask]:
    """Give the cores of regions, by the map that each place is judged by."""
    named = {place.name: place for place in places}
    combine = judge.calibration.combine
    maps = {
        name: map_of(prediction, judge.used(prediction, named[name]), combine)
        for name in {region.place for region, _ in found}
    }
    return [cores_of(maps[region.place], [pixels])[0] for region, pixels in found]


def shares_of(shares: xr.Dataset, core: Mask) -> dict[str, float]:
    """Average the sensors' shares in the evidence over a region's core.

    Parameters
    ----------
    shares : Dataset
        With ``attribution_map`` (sensor, y, x).
    core : bool array (y, x)

    Returns
    -------
    dict of str to float
        Exact shares of the core's mean evidence, because shares of a mean are means of shares;
        without sensors that have none.
    """
    here = shares["attribution_map"].values[:, core].mean(1, dtype=np.float64)
    names = [str(name) for name in shares["sensor"].values]
    return {name: float(share) for name, share in zip(names, here, strict=True) if share}


class _Changed:
    """Asks what would be said of a part whose region looked good."""

    def __init__(
        self,
        judge: Judge,
        fusion: Fusion,
        scene: xr.Dataset,
        prediction: xr.Dataset,
        places: Sequence[Place],
    ) -> None:
        self.judge, self.fusion, self.places = judge, fusion, places
        self.scene, self.prediction = scene, prediction

    def counterfactuals(
        self, memories: Mapping[str, Memory], pixels: Mask
    ) -> tuple[Counterfactual, ...]:
        """Replace the patches of every sensor alone, then of all that see the region."""
        told = {name: memory.replaced(pixels) for name, memory in memories.items()}
        told = {name: (own, count) for name, (own, count) in told.items() if count}
        sets = [chosen for size in sorted({1, len(told)}) for chosen in combinations(told, size)]
        return tuple(
            self._asked({name: told[name] for name in chosen}) for chosen in sets if chosen
        )

    def _asked(self, told: Mapping[str, tuple[xr.Dataset, int]]) -> Counterfactual:
        assert isinstance(self.fusion, Divided)
        own = {name: prediction for name, (prediction, _) in told.items()}
        changed = self.fusion.replaced(self.prediction, own, self.scene)
        judged = self.judge.judged(changed, self.places)
        return Counterfactual(
            tuple(told),
            sum(count for _, count in told.values()),
            float(self.prediction["image_score"]),
            float(judged["image_score"]),
            str(judged.attrs["verdict"]),
        )


def guarantee(judge: Judge, prediction: xr.Dataset) -> str:
    """Say what the verdict promises.

    Parameters
    ----------
    judge : Judge
    prediction : Dataset
        Judged.

    Returns
    -------
    str
    """
    here = np.isfinite(prediction["evidence"].values)
    names = [str(name) for name in prediction["sensor"].values[here]]
    count = len(judge.calibration.fused(names)) if names else 0
    if "threshold" not in prediction.attrs:
        return (
            f"{count} calibration parts had these sensors, which promises no false-alarm rate "
            f"below {1 / (count + 1):.3g}; {judge.false_alarm:.3g} was asked for"
        )
    return (
        f"of good parts like the {count} that calibrated it (exchangeable with them, not learnt "
        f"from) at most {100 * judge.false_alarm:.3g} % are called defective, on average over "
        "such calibrations"
    )
