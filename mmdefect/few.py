"""How well few good parts do: the curve of the ranking, and what rate so few can promise.

Every number of parts is a fresh fit, as if no more were there: the same division into parts that
fit and parts that calibrate, the same features, the same test parts. A smaller set lies in every
larger one. One part ranks others, and promises nothing.
"""

from collections.abc import Sequence

import numpy as np

from mmdefect.captures import Capture
from mmdefect.dataset import Dataset
from mmdefect.division import divide
from mmdefect.errors import CardError
from mmdefect.learning import Learning
from mmdefect.metrics import part_metrics
from mmdefect.progress import track
from mmdefect.records import FUSED, Row, plain, record_of
from mmdefect.settings import Settings


class FewParts:
    """The curve over small numbers of good parts of one category.

    Parameters
    ----------
    dataset : Dataset
    category : str
    settings : Settings

    Raises
    ------
    CardError
        When there is no good part to learn from, or none to test.
    """

    def __init__(self, dataset: Dataset, category: str, settings: Settings) -> None:
        self.dataset = dataset
        self.settings = settings
        self.learning = Learning(dataset, category, settings)
        self.good = [
            c
            for c in (*self.learning.fit_parts, *self.learning.calibration_parts)
            if c.label == "good"
        ]
        self.test = self.learning.test_parts()

    def rows(self, counts: Sequence[int]) -> list[Row]:
        """Fit and score with so many good parts each time.

        Parameters
        ----------
        counts : sequence of int
            Those that are more than there are good parts are left out, with a note.

        Returns
        -------
        list of dict
            One per number: ``category``, ``parts``, ``fit``, ``calibration``,
            ``smallest_false_alarm``, ``referred`` (share of the test parts), and by sensor, and
            ``fused``, ``image_auroc`` and its 95 % ``intervals``.

        Raises
        ------
        CardError
            For a number below one.
        """
        if any(count < 1 for count in counts):
            raise CardError(f"{min(counts)} good parts were asked for; one at least was promised")
        wanted = sorted(set(counts))
        there = [count for count in wanted if count <= len(self.good)]
        if len(there) < len(wanted):
            self.learning.note(
                f"{len(self.good)} good parts are there; no curve for {wanted[len(there)]} and more"
            )
        order = np.random.default_rng(self.settings.seed).permutation(len(self.good))
        return [self._row([self.good[index] for index in order[:count]]) for count in there]

    def _row(self, good: list[Capture]) -> Row:
        """Fit on some good parts, and rank the test parts."""
        rate = self.settings.false_alarm * self.learning.zones.smallest_share
        fit, calibrate = divide(good, [], rate, self.settings.seed)
        self.learning.fit_parts, self.learning.calibration_parts = fit, calibrate
        inspection = self.learning.inspection()
        scenes = self.dataset.scenes
        doing = f"judging by {len(good)} good parts"
        records = [
            {"label": scene.attrs["label"], **record_of(inspection.predict(scene))}
            for scene in track(scenes(self.test), len(self.test), doing)
        ]
        areas = {name: self._area(records, name) for name in (*inspection.fusion.sensors, FUSED)}
        return {
            "category": self.learning.category,
            "parts": len(good),
            "fit": len(fit),
            "calibration": len(calibrate),
            "smallest_false_alarm": inspection.smallest_false_alarm,
            "referred": float(np.mean([record["verdict"] == "refer" for record in records])),
            "image_auroc": {name: area for name, (area, _) in areas.items()},
            "intervals": {name: held for name, (_, held) in areas.items() if held},
        }

    def _area(self, records: list[Row], name: str) -> tuple[float | None, list[float | None]]:
        """Measure one sensor, or the fusion."""
        scores: dict[str, list[float]] = {"good": [], "defect": []}
        for record in records:
            told = record if name == FUSED else record["sensors"][name]
            score = told["image_score" if name == FUSED else "score"]
            if score is not None:
                scores[record["label"]].append(score)
        found = part_metrics(
            np.array(scores["good"]), np.array(scores["defect"]), seed=self.settings.seed
        )["image_auroc"]
        if found.value is None or found.low is None or found.high is None:
            return None, []
        return plain(found.value), [plain(found.low), plain(found.high)]
