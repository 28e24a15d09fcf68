"""The good twin of a simulated defective capture: the same part, light and noise, no defect.

A twin is rendered by `render_capture` with the defective capture's own seed, split and index, is
written as the simulator writes any capture, and read through the same card, rig and calibration.
So whatever differs between the two scenes is the defect.
"""

import json
from pathlib import Path

import numpy as np
import xarray as xr

from mmdefect import Dataset
from mmdefect.captures import Capture
from mmdefect.simulate import GOOD, render_capture
from mmdefect.simulate.files import frame_paths, write_card, write_frames, write_station
from mmdefect.simulate.specimen import SPLITS


class Twins:
    """Twins of a data set's captures, rendered when first asked for and kept in `work`."""

    def __init__(self, folder: Path, work: Path) -> None:
        truth = json.loads((folder / "truth.json").read_text())
        self.settings, self.captures = truth["settings"], truth["captures"]
        self.work = work
        if not (work / "card.toml").exists():
            write_station(work, seed=self.settings["seed"], size=self.settings["size"])
            write_card(work, "twins of simulated captures")

    def of(self, capture: Capture) -> xr.Dataset:
        seed, _, split, index = self.captures[capture.id]["seed"]
        product, size = capture.id.split("/")[0], self.settings["size"]
        paths = frame_paths("station", self.work / product / "test" / GOOD, index, GOOD)
        if not all(path.exists() for path in paths.values()):
            made = render_capture(
                product, GOOD, seed=seed, split=SPLITS[split], index=index, size=size
            )
            write_frames(made, "station", paths)
        dataset = Dataset(str(self.work / "card.toml"), self.work)
        name = f"{product}/test/{GOOD}/{index:03d}"
        return dataset.scene(next(c for c in dataset.captures(product) if c.id == name))


def differing(one: xr.Dataset, other: xr.Dataset) -> dict[str, float]:
    """Share of a sensor's pixels at which two scenes differ."""
    return {
        name: float(np.mean(_apart(one[name].values, other[name].values)))
        for name in one["sensor"].values.tolist()
    }


def _apart(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return ~((one == other) | (np.isnan(one) & np.isnan(other)))
