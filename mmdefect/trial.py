"""The trial of one category: fit, calibrate, judge, measure.

Captures are read, scored, pictured and forgotten one after the other; what has to be seen again
(maps for the pixel metrics, pictures for the report) waits on disk.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import xarray as xr

from mmdefect.captures import Capture
from mmdefect.contracts import Explainer, Fusion
from mmdefect.dataset import Dataset
from mmdefect.errors import CardError, FeatureError
from mmdefect.features import extractor
from mmdefect.inspection import Inspection, divide
from mmdefect.marked import add_box_numbers, drop_part_numbers, highest_pixels, refer_all
from mmdefect.progress import track
from mmdefect.registry import load
from mmdefect.report import capture_card
from mmdefect.results import FUSED, Row, rows_of_category
from mmdefect.scene import registered_in
from mmdefect.spill import MapSpill

BACKBONE = "timm:mobilenetv2_100"
_IMAGES = ("rgb", "infrared", "xray")


@dataclass(frozen=True)
class Settings:
    """Everything that shapes the numbers of an evaluation.

    Parameters
    ----------
    sensors : tuple of str
        The sensors to use; all when empty.
    features : dict of str to str
        Spec by sensor; where not named, a small pretrained backbone for pictures if its weights
        can be had, ``builtin`` else.
    detector, fusion : str
        Plug-ins by name.
    false_alarm : float
        The wanted rate of good parts called defective.
    bank_bytes : int
        Bytes that all detectors may hold while fitting.
    seed : int
    """

    sensors: tuple[str, ...] = ()
    features: Mapping[str, str] = field(default_factory=dict)
    detector: str = "memory_bank"
    fusion: str = "late"
    false_alarm: float = 0.05
    bank_bytes: int = 512 << 20
    seed: int = 0


class Trial:
    """The evaluation of one category.

    Parameters
    ----------
    dataset : Dataset
    category : str
    settings : Settings
    scratch : Path
        An empty folder for maps and pictures.

    Attributes
    ----------
    pictures : dict of str to Path
        The report's fragment of every judged capture.
    """

    def __init__(self, dataset: Dataset, category: str, settings: Settings, scratch: Path) -> None:
        self.dataset = dataset
        self.category = category
        self.settings = settings
        self.scratch = scratch
        self.explainer: Explainer = load("explain", "shapley")()
        self.pictures: dict[str, Path] = {}

    def into(self, results: Row) -> None:
        """Run, and add everything to the results.

        Parameters
        ----------
        results : dict
            As ``mmdefect.results.header`` starts it.

        Raises
        ------
        CardError
            When there is no good part to learn from, or no part to test.
        """
        fit, calibrate, test = self._parts()
        features = self._features()
        fusion: Fusion = load("fusion", self.settings.fusion)(
            sensors=tuple(self.dataset.sensors(self.category)),
            detector=self.settings.detector,
            features=features,
            bank_bytes=self.settings.bank_bytes,
            seed=self.settings.seed,
        )
        self.inspection = Inspection(fusion, self.settings.false_alarm)
        self.inspection.fit(self.dataset.scenes(fit), self.dataset.scenes(calibrate))
        self.knows_good = any(c.label == "good" for c in (*fit, *calibrate))
        self._note_calibration(len(calibrate))
        records, spill, on_grid = self._judge(test)
        rows, rows_per_kind = rows_of_category(
            records,
            spill,
            self.inspection.calibration_,
            category=self.category,
            on_grid=on_grid,
            false_alarm=self.settings.false_alarm,
            seed=self.settings.seed,
        )
        if not self.knows_good:
            drop_part_numbers([*rows, *rows_per_kind])
        if any(capture.boxes is not None for capture in test):
            add_box_numbers(
                rows,
                spill,
                test,
                highest_pixels(self.inspection, self.dataset.scenes(calibrate), len(calibrate)),
                on_grid=on_grid,
                false_alarm=self.settings.false_alarm,
                seed=self.settings.seed,
            )
        results["rows"] += rows
        results["rows_per_kind"] += rows_per_kind
        results["captures"] += records
        results["features"][self.category] = {
            name: extractor(spec).name for name, spec in features.items()
        }
        results["splits"][self.category] = {
            "fit": len(fit), "calibration": len(calibrate), "test": len(test)
        }  # fmt: skip
        results["manifest"][self.category] = self.dataset.manifest([*fit, *calibrate, *test])
        results["smallest_false_alarm"][self.category] = self.inspection.smallest_false_alarm

    def _parts(self) -> tuple[list[Capture], list[Capture], list[Capture]]:
        """Choose which captures fit, calibrate and test."""
        train = self.dataset.captures(self.category, "train")
        extra = self.dataset.captures(self.category, "calibration")
        test = self.dataset.captures(self.category, "test")
        good, extra_good = (
            [c for c in group if self.dataset.teaches(c)] for group in (train, extra)
        )
        unused = len(train) + len(extra) - len(good) - len(extra_good)
        if unused:
            self._note(f"{unused} defective captures outside the test split are not learnt from")
        fit, calibrate = divide(good, extra_good, self.settings.false_alarm, self.settings.seed)
        calibrate = self.dataset.without_copies(calibrate, fit)
        test = self.dataset.without_copies(test, [*fit, *calibrate])
        if not fit or not test:
            missing = "good part to learn from" if not fit else "part to test"
            raise CardError(
                f"{self.category!r} has no {missing}; kinds of good parts are "
                f"{', '.join(self.dataset.card.good)}, splits are "
                f"{', '.join(sorted({c.split for c in self.dataset.captures(self.category)}))}"
            )
        return fit, calibrate, test

    def _features(self) -> dict[str, str]:
        """Name every sensor's features: the caller's choice, else the best that can be had."""
        sensors = self.dataset.sensors(self.category)
        return {
            name: self.settings.features.get(name) or self._default_features(name)
            for name in sensors
        }

    def _default_features(self, sensor: str) -> str:
        if self.dataset.card.sensors[sensor].adapter not in _IMAGES:
            return "builtin"
        try:
            return BACKBONE if extractor(BACKBONE).name else "builtin"
        except FeatureError as error:
            self._note(
                f"{sensor} is described by 'builtin', which ranks parts less well than a "
                f"pretrained backbone: {error}"
            )
            return "builtin"

    def _judge(self, test: list[Capture]) -> tuple[list[Row], MapSpill, set[str]]:
        """Judge every test capture; keep a record, spill the maps and the picture."""
        names = [*self.dataset.sensors(self.category), FUSED]
        size = self.dataset.grid_size(self.category)
        spill = MapSpill(self.scratch, len(test), names, size)
        records: list[Row] = []
        on_grid: set[str] = set()
        unknown = 0
        for index, capture in enumerate(track(test, len(test), f"judging {self.category}")):
            started = time.perf_counter()
            scene = self.dataset.scene(capture)
            prediction = self.inspection.predict(scene)
            seconds = time.perf_counter() - started
            maps = np.concatenate(
                [prediction["sensor_map"].values, prediction["anomaly_map"].values[None]]
            )
            defect = scene["defect"].values if "defect" in scene else None
            unknown += defect is None
            spill.put(index, maps.astype(np.float32), defect, self.dataset.own_size(capture))
            record = _record(capture, prediction, seconds)
            if not self.knows_good:
                refer_all(record)
            self.pictures[capture.id] = self._picture(scene, prediction, record, index)
            records.append(record)
            on_grid |= set(registered_in(scene))
        if unknown:
            self._note(
                f"{unknown} of {len(test)} test captures have no usable mask and are left out of "
                "the pixel metrics; their label comes from the folder"
            )
        return records, spill, on_grid

    def _picture(self, scene: xr.Dataset, prediction: xr.Dataset, record: Row, index: int) -> Path:
        """Put a capture's part of the report on disk."""
        shares = self.explainer.attribute(self.inspection.fusion, prediction)
        for name, share in zip(
            shares["sensor"].values, shares["attribution"].values.tolist(), strict=True
        ):
            record["sensors"][str(name)]["attribution"] = _plain(share)
        pictured = prediction.assign(attribution=shares["attribution"])
        path = self.scratch / f"{index:06d}.html"
        path.write_text(capture_card(scene, pictured, record), encoding="utf-8")
        return path

    def _note_calibration(self, parts: int) -> None:
        """Say what the calibration can and cannot promise."""
        if not self.knows_good:
            self._note(
                "no good part was learnt from, only good pixels of defective ones: every verdict "
                "is 'refer', and no part-level number is defined"
            )
            return
        smallest = self.inspection.smallest_false_alarm
        if smallest > self.settings.false_alarm:
            self._note(
                f"{parts} calibration parts promise a false-alarm rate of {smallest:.3g} at best, "
                f"{self.settings.false_alarm:g} was asked for: every verdict is 'refer'"
            )
        calibration = self.inspection.calibration_
        used = calibration.usable(calibration.sensors, self.settings.false_alarm)
        for column, name in enumerate(calibration.sensors):
            had = int(np.isfinite(calibration.evidence[:, column]).sum())
            if had == 0 or name not in used:
                self._note(f"{name} has no say in the verdict: {had} calibration parts have it")

    def _note(self, text: str) -> None:
        self.dataset.notes.append(f"{self.category}: {text}")


def _record(capture: Capture, prediction: xr.Dataset, seconds: float) -> Row:
    """Write down what was said of one capture."""
    alone = {
        str(name): {
            "present": bool(np.isfinite(prediction["sensor_score"].sel(sensor=name))),
            "score": _plain(prediction["sensor_score"].sel(sensor=name).item()),
            "evidence": _plain(prediction["evidence"].sel(sensor=name).item()),
            "p_value": _plain(prediction["sensor_p_value"].sel(sensor=name).item()),
            "verdict": str(prediction["sensor_verdict"].sel(sensor=name).item()),
            "seconds": float(prediction["seconds"].sel(sensor=name).item()),
        }
        for name in prediction["sensor"].values
    }
    return {
        "capture": capture.id,
        "category": capture.category,
        "kind": capture.kind,
        "label": capture.label,
        "verdict": prediction.attrs["verdict"],
        "image_score": _plain(prediction["image_score"].item()),
        "p_value": _plain(prediction["p_value"].item()),
        "threshold": _plain(prediction.attrs.get("threshold", np.nan)),
        "seconds": seconds,
        "sensors": alone,
    }


def _plain(value: float) -> float | None:
    """Give a number that JSON knows."""
    return float(value) if np.isfinite(value) else None
