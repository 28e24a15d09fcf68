"""The trial of one category: fit, calibrate, judge, measure.

Captures are read, scored, pictured and forgotten one after the other; what has to be seen again
(maps for the pixel metrics, pictures for the report) waits on disk. Every step is kept as
unfinished work, so that a trial that was killed goes on where it was.
"""

from collections.abc import Iterable
from pathlib import Path

from mmdefect.cache import card_key
from mmdefect.captures import Capture, Refusal
from mmdefect.dataset import Dataset
from mmdefect.inspection import Inspection
from mmdefect.judged import CaptureJudge, Hands, OwnHands
from mmdefect.learning import Learning
from mmdefect.marked import add_box_numbers, drop_part_numbers, highest_pixels
from mmdefect.progress import track
from mmdefect.records import FUSED
from mmdefect.referral import cost_row
from mmdefect.results import Row, rows_of_category
from mmdefect.settings import Settings
from mmdefect.spill import MapSpill
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
    hands : Hands, optional
        Who judges the captures; this process unless told otherwise.

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
        hands: Hands | None = None,
    ) -> None:
        self.dataset = dataset
        self.category = category
        self.settings = settings
        self.work = work
        self.number = number
        self.viewer = viewer
        self.hands = hands or OwnHands()
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
        self._add_costs(results, records)
        results["rows"] += rows
        results["rows_per_kind"] += rows_per_kind
        results["captures"] += records
        results["features"][self.category] = features
        results["splits"][self.category] = {
            "fit": len(fit), "calibration": len(calibrate), "test": len(test)
        }  # fmt: skip
        results["manifest"][self.category] = manifest
        results["smallest_false_alarm"][self.category] = self.inspection.smallest_false_alarm

    def _add_costs(self, results: Row, records: list[Row]) -> None:
        """Say what the verdicts would cost, where costs were stated."""
        costs = self.settings.referral.costs
        row = costs and cost_row(records, costs, self.settings.false_alarm)
        if row:
            results["costs"].append({"category": self.category, **row})

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
            self._refuse(Refusal(*row) for row in line["refused"])
        left = test[len(lines) :]
        judge = CaptureJudge(self.dataset, self.inspection, learning.knows_good, self.viewer)
        steps = self.hands.judged(judge, left)
        for judged in track(steps, len(left), f"judging {self.category}"):
            index = len(lines)
            spill.put(index, judged.maps, judged.defect, judged.own_size)
            judged.write(_picture_path(work.folder, index))
            line = judged.line()
            work.finish_capture(line)
            lines.append(line)
            self._refuse(judged.refused)
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

    def _refuse(self, refused: Iterable[Refusal]) -> None:
        """Put what was refused on the data set's list, once."""
        for refusal in refused:
            if refusal not in self.dataset.refused:
                self.dataset.refused.append(refusal)


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
