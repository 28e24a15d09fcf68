"""Whether a scene can be judged at all: of the sensors, the size and the looks that were learnt.

* A bank of good patches asks whether a patch occurs on good parts, not whether the whole is the
  right part the right way round. So every sensor's picture is held, coarsely, against those of the
  parts learnt from: cell by cell, how many spreads is it from their mean, in one light
  (`mmdefect.light`)?
* *Strangeness* is the mean of that over cells, each counted as ten at most, of the strangest
  sensor: a defect is a few cells, a wrong part or a dark camera is most of them.
* A part is not inspectable when it is stranger than the calibration parts allow at the stated rate
  (split conformal, so of good parts at most that share is refused), and strange at all: above two
  spreads on average. Neither is one of which no sensor saw half of what it usually sees.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch.nn.functional import adaptive_avg_pool2d

from mmdefect.contracts import Fusion
from mmdefect.errors import SceneError
from mmdefect.features._contrast import contrast_of, contrasts_kept
from mmdefect.light import in_its_light
from mmdefect.referral import Referral
from mmdefect.scene import present_in, sensors_of
from mmdefect.usual import Usual
from mmdefect.verdict import conformal_threshold

Cells = NDArray[np.float64]

REFUSED = 0.01
"""The share of good parts that may be refused as strange."""

_KEPT = ("mean", "spread", "pattern")
_SIDE = 24
_MOST_PARTS = 64
_LEAST_PARTS = 8
_MOST_SPREADS = 10.0
_STRANGE = 2.0
_LEAST_SPREAD = 0.1
_LEAST_SEEN = 0.5


@dataclass
class Familiar:
    """What good parts look like from afar, sensor by sensor.

    Parameters
    ----------
    frames : dict of str to (str, str)
        Modality and unit of every sensor's frames.
    mean, spread : dict of str to float array (y, x)
        By sensor, on coarse cells; NaN where too few parts were seen. Without sensors of which
        fewer than eight parts were learnt.
    pattern : dict of str to float array (y, x)
        The spread of the same in one light, which strangeness is counted in.
    strangeness : float array (part,)
        Of the calibration parts.
    usual : Usual
        What they measure at each place.
    """

    frames: dict[str, tuple[str, str]] = field(default_factory=dict)
    mean: dict[str, Cells] = field(default_factory=dict)
    spread: dict[str, Cells] = field(default_factory=dict)
    pattern: dict[str, Cells] = field(default_factory=dict)
    strangeness: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    usual: Usual = field(default_factory=Usual)

    @classmethod
    def learn(cls, scenes: Iterable[xr.Dataset]) -> "Familiar":
        """Look at the first good parts.

        Parameters
        ----------
        scenes : iterable of Dataset

        Returns
        -------
        Familiar
        """
        familiar, seen = cls(), dict[str, list[Cells]]()
        for scene in islice(scenes, _MOST_PARTS):
            framed = [name for name in sensors_of(scene) if name in scene]
            familiar.frames |= {name: _kind(scene, name) for name in framed}
            for name in present_in(scene) if framed else ():
                seen.setdefault(name, []).append(coarse(scene[name]))
                familiar.usual.see(name, scene[name])
        for name, cells in seen.items():
            if len(cells) >= _LEAST_PARTS:
                mean, spread = _moments(np.stack(cells))
                even = [c - in_its_light(c, mean, spread, familiar.frames[name]) for c in cells]
                familiar.mean[name], familiar.spread[name] = mean, spread
                familiar.pattern[name] = _moments(np.stack(even))[1]
        return familiar

    @property
    def limit(self) -> float:
        """The strangeness above which a part is not inspectable; infinite where none is known."""
        known = self.strangeness[np.isfinite(self.strangeness)]
        threshold = conformal_threshold(known, self.refused) if known.size else None
        return max(_STRANGE, float("inf") if threshold is None else threshold)

    @property
    def refused(self) -> float:
        """The share of good parts that is refused at most, on average over calibrations."""
        return max(REFUSED, 1 / (int(np.isfinite(self.strangeness).sum()) + 1))

    def of(self, scene: xr.Dataset, cells: Mapping[str, Cells] | None = None) -> dict[str, float]:
        """Measure how strange every sensor's picture is.

        Parameters
        ----------
        scene : Dataset
        cells : mapping of str to array, optional
            What ``cells`` gives for it, where that is known.

        Returns
        -------
        dict of str to float
            Mean spreads from the usual, by sensor; of those that are there and were learnt.
        """
        return self._strange(cells or self.cells(scene), present_in(scene) if self.mean else [])

    def why_not(self, scene: xr.Dataset, cells: Mapping[str, Cells] | None = None) -> str:
        """Say why a scene is not inspectable; empty where it is.

        Parameters
        ----------
        scene : Dataset
        cells : mapping of str to array, optional
            What ``cells`` gives for it, where that is known.

        Returns
        -------
        str
        """
        if not self.mean:
            return ""
        cells = cells or self.cells(scene)
        seen = {name: self._seen(cells[name], name) for name in self.mean}
        if max(seen.values()) < _LEAST_SEEN:
            most = max(seen, key=lambda name: seen[name])
            return (
                f"too little was measured: of all sensors {most} saw most, "
                f"{100 * seen[most]:.0f} % of what it usually sees"
            )
        strange = self._strange(cells, present_in(scene))
        odd = {name: value for name, value in strange.items() if value > self.limit}
        if not odd:
            return ""
        told = ", ".join(f"{name} {value:.3g}" for name, value in odd.items())
        return (
            f"it looks like no part that was learnt: {told} spreads from the usual on average, "
            f"{self.limit:.3g} are allowed (at most {100 * self.refused:.2g} % of good parts are "
            "refused so); is it the right part, the right way round, and is the sensor on?"
        )

    def joined(self, strangeness: Sequence[float]) -> "Familiar":
        """Give the same with further calibration parts."""
        together = np.concatenate([self.strangeness, np.array(strangeness, dtype=np.float64)])
        return replace(self, strangeness=together)

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Give what was learnt: arrays, and what JSON can hold."""
        arrays = {"strangeness": self.strangeness, **self.usual.state()}
        for name in self.mean:
            arrays |= {f"{name}/{kind}": getattr(self, kind)[name] for kind in _KEPT}
        return arrays, {name: list(kind) for name, kind in self.frames.items()}

    @classmethod
    def from_state(
        cls, arrays: Mapping[str, np.ndarray], told: Mapping[str, Sequence[str]]
    ) -> "Familiar":
        """Make what gave this state; a model of old knows no looks, or none in one light."""
        kept: dict[str, dict[str, Cells]] = {
            kind: {n: np.array(arrays[f"{n}/{kind}"]) for n in told if f"{n}/{kind}" in arrays}
            for kind in _KEPT
        }
        kept["pattern"] = kept["spread"] | kept["pattern"]
        frames = {name: (str(kind[0]), str(kind[1])) for name, kind in told.items()}
        strangeness = np.array(arrays.get("strangeness", np.empty(0)))
        return cls(frames, **kept, strangeness=strangeness, usual=Usual.from_state(arrays))

    def scored(self, fusion: Fusion, scene: xr.Dataset) -> tuple[xr.Dataset, dict[str, Cells]]:
        """Give a fusion's prediction and the scene's ``cells``; both look at the same contrasts."""
        with contrasts_kept():
            return fusion.predict(scene), self.cells(scene)

    def cells(self, scene: xr.Dataset) -> dict[str, Cells]:
        """Show every learnt sensor's frame from afar, as ``coarse`` does."""
        return {name: coarse(scene[name]) for name in self.mean}

    def _strange(self, cells: Mapping[str, Cells], present: Sequence[str]) -> dict[str, float]:
        """Measure how strange the pictures of sensors that are there are."""
        return {
            name: _strangeness(cells[name], self.mean[name], self.pattern[name], self.frames[name])
            for name in self.mean
            if name in present
        }

    def _seen(self, cells: Cells, name: str) -> float:
        """Give the share of the cells that are usually seen, and were."""
        usual = np.isfinite(self.mean[name])
        return float((np.isfinite(cells) & usual).sum() / max(usual.sum(), 1))


def coarse(frame: xr.DataArray) -> Cells:
    """Show a frame from afar: the contrast of its first channels on at most 24 × 24 cells.

    Parameters
    ----------
    frame : DataArray (…, y, x), float32

    Returns
    -------
    float64 array (y, x)
        NaN where less than half of a cell was measured.
    """
    planes, measured = contrast_of(frame)
    cells = (min(_SIDE, measured.shape[0]), min(_SIDE, measured.shape[1]))
    weight = measured[None].double()
    known = torch.where(measured, planes.double(), 0.0).mean(0, keepdim=True)
    share = adaptive_avg_pool2d(weight, cells)[0]
    level = adaptive_avg_pool2d(known, cells)[0] / share.clamp_min(1e-9)
    found: Cells = torch.where(share >= _LEAST_SEEN, level, torch.nan).numpy()
    return found


def _kind(scene: xr.Dataset, name: str) -> tuple[str, str]:
    attrs = scene[name].attrs
    return str(attrs["modality"]), str(attrs["units"])


def _moments(cells: Cells) -> tuple[Cells, Cells]:
    """Give mean and spread of parts (part, y, x), NaN where fewer than eight were seen."""
    known = np.isfinite(cells)
    count = known.sum(0)
    filled = np.where(known, cells, 0.0)
    mean = filled.sum(0) / np.maximum(count, 1)
    square = np.where(known, (cells - mean) ** 2, 0.0).sum(0)
    spread = np.sqrt(square / np.maximum(count - 1, 1))
    seen = count >= _LEAST_PARTS
    usual = float(np.median(spread[seen])) if seen.any() else 1.0
    held = np.maximum(spread, max(_LEAST_SPREAD * usual, 1e-12))
    return np.where(seen, mean, np.nan), np.where(seen, held, np.nan)


def _strangeness(cells: Cells, mean: Cells, pattern: Cells, frame: tuple[str, str]) -> float:
    """Average how many spreads cells are from the mean, each counted as ten at most."""
    if cells.shape != mean.shape:
        return float("nan")
    apart = np.abs(cells - in_its_light(cells, mean, pattern, frame)) / pattern
    known = apart[np.isfinite(apart)]
    return float(np.minimum(known, _MOST_SPREADS).mean()) if known.size else float("nan")


def check_sensors(scene: xr.Dataset, sensors: Sequence[str]) -> None:
    """Refuse a scene that lacks a sensor that was learnt, even as a blind one.

    Parameters
    ----------
    scene : Dataset
    sensors : sequence of str
        Those that were learnt.

    Raises
    ------
    SceneError
    """
    there = sensors_of(scene)
    lacking = [name for name in sensors if name not in there]
    if lacking:
        raise SceneError(
            f"the scene has the sensors {', '.join(there)}, but {', '.join(sensors)} were learnt; "
            f"give {lacking[0]!r} too, blind where it measured nothing "
            "(mmdefect.scene.blank_frame)"
        )


def check_scene(
    scene: xr.Dataset,
    sensors: Sequence[str],
    size: tuple[int, int],
    frames: Mapping[str, tuple[str, str]],
) -> None:
    """Refuse a scene of other sensors, another size or other units than what was learnt.

    Parameters
    ----------
    scene : Dataset
    sensors : sequence of str
        Those that were learnt.
    size : (int, int)
        Height and width that were learnt, in pixels.
    frames : mapping of str to (str, str)
        Modality and unit that were learnt, by sensor.

    Raises
    ------
    SceneError
    """
    check_sensors(scene, sensors)
    found = (scene.sizes["y"], scene.sizes["x"])
    if found != size:
        raise SceneError(
            f"the scene has {found[0]}x{found[1]} pixels, but {size[0]}x{size[1]} were learnt; "
            "bring it onto that grid, or fit anew"
        )
    for name in [name for name in sensors if name in frames]:
        own = _kind(scene, name)
        if own != frames[name]:
            raise SceneError(
                f"{name!r} measures {own[0]} in {own[1]!r}, but {frames[name][0]} in "
                f"{frames[name][1]!r} was learnt; it is a scene of another rig, or the card states "
                "another unit: convert it, or fit anew"
            )


def three_way(judged: xr.Dataset, why_not: str, referral: Referral) -> xr.Dataset:
    """Refuse what is not inspectable, and refer what is between good and defect.

    Parameters
    ----------
    judged : Dataset
        With ``p_value`` and the attr ``verdict``.
    why_not : str
        Why it is not inspectable; empty where it is.
    referral : Referral
        The band of p-values that is referred.

    Returns
    -------
    Dataset
        With the attr ``why`` where the verdict was changed.
    """
    if why_not:
        return judged.assign_attrs(verdict="not_inspectable", why=why_not)
    p_value = float(judged["p_value"].item())
    verdict = referral.verdict(judged.attrs["verdict"], p_value)
    if verdict == judged.attrs["verdict"]:
        return judged
    why = f"p = {p_value:.3g} lies in the band that is referred: {referral.words}"
    return judged.assign_attrs(verdict=verdict, why=why)
