"""How a category's good parts are learnt: which parts, with which features, into an inspection.

``evaluate`` and ``fit`` share this, so that a model judges as its evaluation said it would.
"""

from collections.abc import Mapping
from dataclasses import asdict
from functools import cached_property
from typing import Any

import numpy as np

from mmdefect.captures import Capture
from mmdefect.contracts import Fusion
from mmdefect.dataset import Dataset
from mmdefect.division import divide
from mmdefect.errors import CardError, FeatureError
from mmdefect.features import extractor
from mmdefect.inspection import Inspection
from mmdefect.registry import load
from mmdefect.settings import Settings
from mmdefect.zones import Zones

BACKBONE = "timm:mobilenetv2_100"
_IMAGES = ("rgb", "infrared", "xray")


class Learning:
    """The good parts of one category, and what is made of them.

    Parameters
    ----------
    dataset : Dataset
        Its ``notes`` grow with what a reader should know.
    category : str
    settings : Settings

    Raises
    ------
    CardError
        When there is no good part to learn from.
    """

    def __init__(self, dataset: Dataset, category: str, settings: Settings) -> None:
        self.dataset = dataset
        self.category = category
        self.settings = settings
        self.zones = Zones(dataset.card.zones)
        self.fit_parts, self.calibration_parts = self._parts()

    @cached_property
    def features(self) -> dict[str, str]:
        """Every sensor's features: the caller's choice, else the best that can be had."""
        sensors = self.dataset.sensors(self.category)
        return {
            name: self.settings.features.get(name) or self._default_features(name)
            for name in sensors
        }

    @property
    def knows_good(self) -> bool:
        """Whether a whole good part is among those learnt from."""
        return any(c.label == "good" for c in (*self.fit_parts, *self.calibration_parts))

    @property
    def learnt_parts(self) -> list[Capture]:
        """All captures that anything was learnt from."""
        weighing = self.defective_parts if self.settings.learn_weights else []
        return [*self.fit_parts, *self.calibration_parts, *weighing]

    @property
    def feature_names(self) -> dict[str, str]:
        """Every sensor's features in full, with a hash of their weights."""
        return {name: extractor(spec).name for name, spec in self.features.items()}

    def inspection(self, options: Mapping[str, Any] | None = None) -> Inspection:
        """Fit and calibrate.

        Parameters
        ----------
        options : mapping, optional
            What the fusion is told besides the settings.

        Returns
        -------
        Inspection
        """
        fusion: Fusion = load("fusion", self.settings.fusion)(
            sensors=tuple(self.dataset.sensors(self.category)),
            detector=self.settings.detector,
            features=self.features,
            bank_bytes=self.settings.bank_bytes,
            seed=self.settings.seed,
            **(options or {}),
        )
        inspection = Inspection(
            fusion, self.settings.false_alarm, self.zones, self.settings.referral
        )
        scenes = self.dataset.scenes
        weighing = scenes(self.defective_parts) if self.settings.learn_weights else None
        parts = scenes(self.fit_parts, self.settings.bank_bytes)
        inspection.fit(parts, scenes(self.calibration_parts), weighing)
        if inspection.weighing_:
            self.note(inspection.weighing_)
        return inspection

    def test_parts(self) -> list[Capture]:
        """Choose which captures are tested: no copy of what is learnt from.

        Returns
        -------
        list of Capture

        Raises
        ------
        CardError
            When there is none.
        """
        test = self.dataset.captures(self.category, "test")
        test = self.dataset.without_copies(test, self.learnt_parts)
        if not test:
            raise CardError(
                f"{self.category!r} has no part to test; kinds of good parts are "
                f"{', '.join(self.dataset.card.good)}, splits are {self.splits()}"
            )
        return test

    def told(self) -> dict[str, object]:
        """Give the settings as JSON holds them."""
        return {**asdict(self.settings), "sensors": list(self.settings.sensors)}

    def note_calibration(self, inspection: Inspection) -> None:
        """Say what the calibration can and cannot promise.

        Parameters
        ----------
        inspection : Inspection
            Fitted.
        """
        if not self.knows_good:
            self.note(
                "no good part was learnt from, only good pixels of defective ones: every verdict "
                "is 'refer', and no part-level number is defined"
            )
            return
        wanted, smallest = self.settings.false_alarm, inspection.smallest_false_alarm
        if smallest > wanted:
            every = "every verdict is 'refer'" if not self.zones.apart else "verdicts are 'refer'"
            self.note(
                f"{len(self.calibration_parts)} calibration parts promise a false-alarm rate of "
                f"{smallest:.3g} at best, {wanted:g} was asked for: {every}"
            )
        calibration = inspection.calibration_
        used = calibration.usable(calibration.sensors, inspection.part_rate)
        for column, name in enumerate(calibration.sensors):
            had = int(np.isfinite(calibration.evidence[:, column]).sum())
            if had == 0 or name not in used:
                self.note(f"{name} has no say in the verdict: {had} calibration parts have it")

    def note(self, text: str) -> None:
        """Tell a reader of the results something about this category."""
        self.dataset.notes.append(f"{self.category}: {text}")

    def _parts(self) -> tuple[list[Capture], list[Capture]]:
        """Choose which captures fit and which calibrate."""
        train = self.dataset.captures(self.category, "train")
        extra = self.dataset.captures(self.category, "calibration")
        good, extra_good = (
            [c for c in group if self.dataset.teaches(c)] for group in (train, extra)
        )
        self.defective_parts = [c for c in (*train, *extra) if c.label == "defect"]
        self.defective_parts = [c for c in self.defective_parts if not self.dataset.teaches(c)]
        unused = len(train) + len(extra) - len(good) - len(extra_good)
        if unused and not self.settings.learn_weights:
            self.note(
                f"{unused} defective captures outside the test split are not learnt from; "
                "learn_weights weighs the sensors by them"
            )
        rate = self.settings.false_alarm * self.zones.smallest_share
        fit, calibrate = divide(good, extra_good, rate, self.settings.seed)
        if not fit:
            raise CardError(
                f"{self.category!r} has no good part to learn from; kinds of good parts are "
                f"{', '.join(self.dataset.card.good)}, splits are {self.splits()}"
            )
        return fit, self.dataset.without_copies(calibrate, fit)

    def splits(self) -> str:
        """Name the splits that are there, for a message."""
        return ", ".join(sorted({c.split for c in self.dataset.captures(self.category)}))

    def _default_features(self, sensor: str) -> str:
        if self.dataset.card.sensors[sensor].adapter not in _IMAGES:
            return "builtin"
        try:
            return BACKBONE if extractor(BACKBONE).name else "builtin"
        except FeatureError as error:
            self.note(
                f"{sensor} is described by 'builtin', which ranks parts less well than a "
                f"pretrained backbone: {error}"
            )
            return "builtin"


def check_features(dataset: Dataset, settings: Settings) -> None:
    """Refuse features of sensors that a data set does not have.

    Parameters
    ----------
    dataset : Dataset
    settings : Settings

    Raises
    ------
    CardError
    """
    unknown = sorted(set(settings.features) - set(dataset.card.sensors))
    if unknown:
        raise CardError(
            f"features are given for {unknown[0]!r}; the card has: "
            f"{', '.join(dataset.card.sensors)}"
        )
