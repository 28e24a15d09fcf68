"""One test capture, judged and pictured: all that an evaluation keeps of it.

Judging depends on the fitted inspection and the capture's files alone, so it may happen in any
process, in any order. What comes of it is plain bytes and arrays, which one process puts on disk.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mmdefect.captures import Capture, Refusal
from mmdefect.contracts import Explainer
from mmdefect.dataset import Dataset
from mmdefect.inspection import Inspection
from mmdefect.marked import refer_all
from mmdefect.records import plain, record_of, region_rows
from mmdefect.registry import load
from mmdefect.report import capture_card
from mmdefect.results import Row
from mmdefect.scene import registered_in
from mmdefect.viewer import Packed, good_scores, pack_capture


@dataclass(frozen=True)
class Judged:
    """What an evaluation keeps of a capture.

    Parameters
    ----------
    record : dict
        Its entry in ``results.json``.
    maps : float32 array (sensor + 1, y, x)
        The sensors' maps, then the fused one; NaN where there is no evidence.
    defect : bool array (y, x) or None
        The truth; None where it is not known.
    own_size : (int, int) or None
        Height and width in pixels before padding, where it was padded.
    on_grid : list of str
        The sensors that are registered.
    refused : list of Refusal
        What could not be used of it.
    picture : str
        Its part of the report, HTML.
    packed : Packed or None
        Its page of the viewer.
    """

    record: Row
    maps: NDArray[np.float32]
    defect: NDArray[np.bool_] | None
    own_size: tuple[int, int] | None
    on_grid: list[str]
    refused: list[Refusal]
    picture: str
    packed: Packed | None

    def line(self) -> Row:
        """Give what the journal of unfinished work holds of it."""
        return {
            "record": self.record,
            "truth": self.defect is not None,
            "own_size": self.own_size,
            "on_grid": self.on_grid,
            "refused": self.refused,
        }

    def write(self, picture: Path) -> None:
        """Put the parts of report and viewer on disk.

        Parameters
        ----------
        picture : Path
            The file for the report's part; the viewer's has the suffix ``.packed``.
        """
        picture.write_text(self.picture, encoding="utf-8")
        if self.packed is not None:
            self.packed.write(picture.with_suffix(".packed"))


class CaptureJudge:
    """Judges captures of one category.

    Parameters
    ----------
    dataset : Dataset
    inspection : Inspection
        Fitted.
    knows_good : bool
        Whether a whole good part was learnt from; without one every capture is referred.
    viewer : bool
        Whether captures are packed for the viewer.
    """

    def __init__(
        self, dataset: Dataset, inspection: Inspection, knows_good: bool, viewer: bool
    ) -> None:
        self.dataset = dataset
        self.inspection = inspection
        self.knows_good = knows_good
        self.viewer = viewer
        self._explainer: Explainer = load("explain", "shapley")()

    def __call__(self, capture: Capture, scene: xr.Dataset | None = None) -> Judged:
        """Judge one capture.

        Parameters
        ----------
        capture : Capture
            Of the data set.
        scene : Dataset, optional
            The capture, where it was read ahead.

        Returns
        -------
        Judged
        """
        started = time.perf_counter()
        scene = self.dataset.scene(capture) if scene is None else scene
        prediction = self.inspection.predict(scene)
        seconds = time.perf_counter() - started
        fused = prediction["anomaly_map"].values[None]
        maps = np.concatenate([prediction["sensor_map"].values, fused])
        record = self._record(capture, scene, prediction, seconds)
        if not self.knows_good:
            refer_all(record)
        picture, packed = self._pictured(scene, prediction, record)
        return Judged(
            record=record,
            maps=maps.astype(np.float32),
            defect=scene["defect"].values if "defect" in scene else None,
            own_size=self.dataset.own_size(capture),
            on_grid=registered_in(scene),
            refused=[told for told in self.dataset.refused if told.capture == capture.id],
            picture=picture,
            packed=packed,
        )

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

    def _pictured(
        self, scene: xr.Dataset, prediction: xr.Dataset, record: Row
    ) -> tuple[str, Packed | None]:
        """Make a capture's parts of report and viewer; tell the sensors' shares in the record."""
        shares, why = self._why(scene, prediction, record)
        for name, share in zip(
            shares["sensor"].values, shares["attribution"].values.tolist(), strict=True
        ):
            record["sensors"][str(name)]["attribution"] = plain(share)
        pictured = prediction.assign(attribution=shares["attribution"])
        card = capture_card(scene, pictured, record)
        if not self.viewer:
            return card, None
        mapped = pictured.assign(attribution_map=shares["attribution_map"])
        told = {**record, **why}
        return card, pack_capture(scene, mapped, told, good_scores(self.inspection, prediction))

    def _why(
        self, scene: xr.Dataset, prediction: xr.Dataset, record: Row
    ) -> tuple[xr.Dataset, Row]:
        """Give the shares; for the page of what is called defective also what is known of it."""
        if not self.viewer or record["verdict"] != "defect":
            return self._explainer.attribute(self.inspection.fusion, prediction, scene), {}
        told = self.inspection.explain(scene, prediction)
        regions = [finding.why for finding in told.findings]
        shares = {"attribution": told.attribution, "attribution_map": told.attribution_map}
        return xr.Dataset(shares), {"regions": regions, "guarantee": told.guarantee}


class Hands(Protocol):
    """Who judges the captures: this process, or others."""

    def judged(self, judge: CaptureJudge, captures: Sequence[Capture]) -> Iterator[Judged]:
        """Judge captures.

        Parameters
        ----------
        judge : CaptureJudge
        captures : sequence of Capture
            Of one category.

        Yields
        ------
        Judged
            In the captures' order.
        """
        ...


class OwnHands:
    """Judges in this process, one capture after the other."""

    def judged(self, judge: CaptureJudge, captures: Sequence[Capture]) -> Iterator[Judged]:
        """Judge captures, as ``Hands`` says."""
        if judge.dataset.readers < 1:
            return map(judge, captures)
        return map(judge, captures, judge.dataset.scenes(captures))
