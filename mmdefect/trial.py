"""The trial of one category: fit, calibrate, judge, measure.

Captures are read, scored, pictured and forgotten one after the other; what has to be seen again
(maps for the pixel metrics, pictures for the report) waits on disk. Every step is kept as
unfinished work, so that a trial that was killed goes on where it was.
"""

import time
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from mmdefect.cache import card_key
from mmdefect.captures import Capture, Refusal
from mmdefect.contracts import Explainer
from mmdefect.dataset import Dataset
from mmdefect.inspection import Inspection
from mmdefect.learning import Learning
from mmdefect.marked import add_box_numbers, drop_part_numbers, highest_pixels, refer_all
from mmdefect.progress import track
from mmdefect.records import FUSED, plain, record_of, region_rows
from mmdefect.registry import load
from mmdefect.report import capture_card
from mmdefect.results import Row, rows_of_category
from mmdefect.scene import registered_in
from mmdefect.settings import Settings
from mmdefect.spill import MapSpill
from mmdefect.viewer import good_scores, pack_capture
from mmdefect.work import CategoryWork, Work


class Trial:
    """The evaluation of one category.

    Parameters
    ----------
    dataset : Dataset
    category : str
    settings : Settings
    work : Work
        Where unfinished work is kept.
    number : int
        The category's place in the evaluation.
    viewer : bool
        Whether captures are packed for the viewer.

    Attributes
    ----------
    pictures : dict of str to Path
        The report's fragment of every judged capture.
    packed : dict of str to Path
        What the viewer shows of every judged capture.
    """

    def __init__(
        self,
        dataset: Dataset,
        category: str,
        settings: Settings,
        work: Work,
        number: int = 0,
        viewer: bool = True,
    ) -> None:
        self.dataset = dataset
        self.category = category
        self.settings = settings
        self.work = work
        self.number = number
        self.viewer = viewer
        self.explainer: Explainer = load("explain", "shapley")()
        self.pictures: dict[str, Path] = {}
        self.packed: dict[str, Path] = {}

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
        learning = Learning(self.dataset, self.category, self.settings)
        fit, calibrate = learning.fit_parts, learning.calibration_parts
        test = learning.test_parts()
        features = learning.feature_names
        learnt = learning.learnt_parts
        manifest = self.dataset.manifest([*learnt, *test])
        sides = [[capture_told(capture) for capture in side] for side in (learnt, calibrate, test)]
        shaping = [learning.told(), features, card_key(self.dataset.card), manifest, sides]
        work = self.work.category(self.number, self.category, shaping)
        self.inspection = self._fitted(learning, work)
        records, spill, on_grid = self._judge(test, learning, work)
        rows, rows_per_kind = rows_of_category(
            records,
            spill,
            self.inspection.calibration_,
            category=self.category,
            on_grid=on_grid,
            false_alarm=self.inspection.part_rate,
            seed=self.settings.seed,
        )
        if not learning.knows_good:
            drop_part_numbers([*rows, *rows_per_kind])
        if any(capture.boxes is not None for capture in test):
            self._add_boxes(rows, spill, test, calibrate, on_grid)
        results["rows"] += rows
        results["rows_per_kind"] += rows_per_kind
        results["captures"] += records
        results["features"][self.category] = features
        results["splits"][self.category] = {
            "fit": len(fit), "calibration": len(calibrate), "test": len(test)
        }  # fmt: skip
        results["manifest"][self.category] = manifest
        results["smallest_false_alarm"][self.category] = self.inspection.smallest_false_alarm

    def _add_boxes(
        self,
        rows: list[Row],
        spill: MapSpill,
        test: list[Capture],
        calibrate: list[Capture],
        on_grid: set[str],
    ) -> None:
        """Measure boxes against the highest pixels of the calibration frames."""
        scenes = self.dataset.scenes(calibrate)
        add_box_numbers(
            rows,
            spill,
            test,
            highest_pixels(self.inspection, scenes, len(calibrate)),
            on_grid=on_grid,
            false_alarm=self.settings.false_alarm,
            seed=self.settings.seed,
        )

    def _fitted(self, learning: Learning, work: CategoryWork) -> Inspection:
        """Fit, or load what was fitted before."""
        told = work.fitted()
        if told is not None:
            self.dataset.refused[:] = [Refusal(*row) for row in told["refused"]]
            self.dataset.notes[:] = told["notes"]
            return Inspection.load(work.model)
        inspection = learning.inspection()
        learning.note_calibration(inspection)
        inspection.save(work.model, learning.told())
        work.finish_fit({"refused": self.dataset.refused, "notes": self.dataset.notes})
        return inspection

    def _judge(
        self, test: list[Capture], learning: Learning, work: CategoryWork
    ) -> tuple[list[Row], MapSpill, set[str]]:
        """Judge every test capture; keep a record, spill the maps and the picture."""
        names = [*self.dataset.sensors(self.category), FUSED]
        size = self.dataset.grid_size(self.category)
        lines = list(work.lines)
        known = [n for n, line in enumerate(lines) if line["truth"]] if lines else None
        own = {n: size_told(line["own_size"]) for n, line in enumerate(lines) if line["own_size"]}
        spill = MapSpill(work.folder, len(test), names, size, known, own)
        for line in lines:
            self.dataset.refused += [Refusal(*row) for row in line["refused"]]
        steps = enumerate(test[len(lines) :], start=len(lines))
        for index, capture in track(steps, len(test) - len(lines), f"judging {self.category}"):
            line = self._judged(index, capture, spill, work.folder, learning.knows_good)
            work.finish_capture(line)
            lines.append(line)
        self.pictures = {
            line["record"]["capture"]: _picture_path(work.folder, index)
            for index, line in enumerate(lines)
        }
        packed = {name: path.with_suffix(".packed") for name, path in self.pictures.items()}
        self.packed = {name: path for name, path in packed.items() if path.is_file()}
        unknown = sum(not line["truth"] for line in lines)
        if unknown:
            learning.note(
                f"{unknown} of {len(test)} test captures have no usable mask and are left out of "
                "the pixel metrics; their label comes from the folder"
            )
        on_grid = {name for line in lines for name in line["on_grid"]}
        return [line["record"] for line in lines], spill, on_grid

    def _judged(
        self, index: int, capture: Capture, spill: MapSpill, folder: Path, knows_good: bool
    ) -> Row:
        """Judge one capture; its maps and its picture are on disk when this returns."""
        before = len(self.dataset.refused)
        started = time.perf_counter()
        scene = self.dataset.scene(capture)
        prediction = self.inspection.predict(scene)
        seconds = time.perf_counter() - started
        fused = prediction["anomaly_map"].values[None]
        maps = np.concatenate([prediction["sensor_map"].values, fused])
        defect = scene["defect"].values if "defect" in scene else None
        own = self.dataset.own_size(capture)
        spill.put(index, maps.astype(np.float32), defect, own)
        record = self._record(capture, scene, prediction, seconds)
        if not knows_good:
            refer_all(record)
        self._picture(scene, prediction, record, _picture_path(folder, index))
        return {
            "record": record,
            "truth": defect is not None,
            "own_size": own,
            "on_grid": registered_in(scene),
            "refused": self.dataset.refused[before:],
        }

    def _record(
        self, capture: Capture, scene: xr.Dataset, prediction: xr.Dataset, seconds: float
    ) -> Row:
        """Write down what was said of one capture."""
        told = record_of(prediction)
        sensors: dict[str, Any] = told.pop("sensors")
        return {
            "capture": capture.id,
            "category": capture.category,
            "kind": capture.kind,
            "label": capture.label,
            **told,
            "seconds": seconds,
            "sensors": sensors,
            "regions": region_rows(self.inspection.regions(scene, prediction)),
        }

    def _picture(self, scene: xr.Dataset, prediction: xr.Dataset, record: Row, path: Path) -> None:
        """Put a capture's part of the report on disk."""
        shares = self.explainer.attribute(self.inspection.fusion, prediction, scene)
        for name, share in zip(
            shares["sensor"].values, shares["attribution"].values.tolist(), strict=True
        ):
            record["sensors"][str(name)]["attribution"] = plain(share)
        pictured = prediction.assign(attribution=shares["attribution"])
        path.write_text(capture_card(scene, pictured, record), encoding="utf-8")
        if self.viewer:
            mapped = pictured.assign(attribution_map=shares["attribution_map"])
            good = good_scores(self.inspection, prediction)
            pack_capture(scene, mapped, record, good).write(path.with_suffix(".packed"))


def _picture_path(folder: Path, index: int) -> Path:
    return folder / f"{index:06d}.html"


def size_told(told: list[int]) -> tuple[int, int]:
    """Give a height and width that JSON made a list.

    Parameters
    ----------
    told : list of int

    Returns
    -------
    (int, int)
    """
    return told[0], told[1]


def capture_told(capture: Capture) -> list[object]:
    """Tell what a capture is taken for, which the content of its files does not say.

    Parameters
    ----------
    capture : Capture

    Returns
    -------
    list
        For JSON.
    """
    return [capture.id, capture.label, capture.boxes]
