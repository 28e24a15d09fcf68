"""What one kind of fusion says of every test capture: evidences in memory, their maps on disk.

Kept as unfinished work step by step, like a trial, so that an ablation that was killed goes on
where it was.
"""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdefect.captures import Capture, Refusal
from mmdefect.dataset import Dataset
from mmdefect.inspection import Inspection
from mmdefect.learning import Learning
from mmdefect.progress import track
from mmdefect.records import FUSED, plain
from mmdefect.scene import registered_in
from mmdefect.spill import MapSpill
from mmdefect.trial import size_told
from mmdefect.work import CategoryWork

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scored:
    """One kind of fusion, fitted, with what it says of the test captures.

    Attributes
    ----------
    kind : str
        As `mmdefect.ablation.KINDS` names it.
    inspection : Inspection
    captures : list of Capture
    evidence : float64 array (capture, sensor)
        NaN where a sensor had nothing to say.
    spill : MapSpill
        Evidence maps of the sensors, then of all of them.
    on_grid : tuple of str
        The sensors whose maps may be held against the ground truth.
    seconds : float64 array (capture, sensor + 1)
        Of every sensor, NaN where the fusion does not tell; of the whole prediction last.
    fit_seconds : float
    """

    kind: str
    inspection: Inspection
    captures: list[Capture]
    evidence: Floats
    spill: MapSpill
    on_grid: tuple[str, ...]
    seconds: Floats
    fit_seconds: float

    @property
    def sensors(self) -> tuple[str, ...]:
        """The sensors, in the columns' order."""
        return self.inspection.calibration_.sensors


def scored(
    kind: str,
    options: dict[str, Any],
    learning: Learning,
    test: list[Capture],
    work: CategoryWork,
) -> Scored:
    """Fit one kind of fusion, and score every test capture once.

    Parameters
    ----------
    kind : str
    options : dict
        What the fusion is told besides the settings.
    learning : Learning
        Whose settings name the fusion.
    test : list of Capture
    work : CategoryWork
        What was done before of the same.

    Returns
    -------
    Scored
    """
    inspection, fit_seconds = _fitted(learning, options, work)
    dataset, sensors = learning.dataset, inspection.calibration_.sensors
    lines = list(work.lines)
    known = [n for n, line in enumerate(lines) if line["truth"]] if lines else None
    own = {n: size_told(line["own_size"]) for n, line in enumerate(lines) if line["own_size"]}
    size = dataset.grid_size(learning.category)
    spill = MapSpill(work.folder, len(test), [*sensors, FUSED], size, known, own)
    for line in lines:
        dataset.refused += [Refusal(*row) for row in line["refused"]]
    steps = enumerate(test[len(lines) :], start=len(lines))
    for index, capture in track(steps, len(test) - len(lines), f"scoring by {kind}"):
        line = _scored_one(index, capture, dataset, inspection, spill)
        work.finish_capture(line)
        lines.append(line)
    return Scored(
        kind,
        inspection,
        test,
        _table(lines, "evidence"),
        spill,
        tuple(name for name in sensors if any(name in line["on_grid"] for line in lines)),
        _table(lines, "seconds"),
        fit_seconds,
    )


def _fitted(
    learning: Learning, options: dict[str, Any], work: CategoryWork
) -> tuple[Inspection, float]:
    """Fit, or load what was fitted before."""
    told = work.fitted()
    dataset = learning.dataset
    if told is not None:
        dataset.refused += [Refusal(*row) for row in told["refused"]]
        dataset.notes += told["notes"]
        return Inspection.load(work.model), told["seconds"]
    refused, notes, started = len(dataset.refused), len(dataset.notes), time.perf_counter()
    inspection = learning.inspection(options)
    seconds = time.perf_counter() - started
    learning.note_calibration(inspection)
    inspection.save(work.model, learning.told())
    new = {"refused": dataset.refused[refused:], "notes": dataset.notes[notes:]}
    work.finish_fit({**new, "seconds": seconds})
    return inspection, seconds


def _scored_one(
    index: int, capture: Capture, dataset: Dataset, inspection: Inspection, spill: MapSpill
) -> dict[str, Any]:
    """Score one capture; its maps are on disk when this returns."""
    before = len(dataset.refused)
    scene = dataset.scene(capture)
    started = time.perf_counter()
    prediction = inspection.fusion.predict(scene)
    seconds = time.perf_counter() - started
    maps = [prediction["evidence_map"].values, prediction["anomaly_map"].values[None]]
    defect = scene["defect"].values if "defect" in scene else None
    own = dataset.own_size(capture)
    spill.put(index, np.concatenate(maps).astype(np.float32), defect, own)
    evidence = prediction["evidence"].values
    each = (
        prediction["seconds"].values if "seconds" in prediction else np.full(len(evidence), np.nan)
    )
    return {
        "evidence": [plain(value) for value in evidence],
        "seconds": [plain(value) for value in (*each, seconds)],
        "truth": defect is not None,
        "own_size": own,
        "on_grid": registered_in(scene),
        "refused": dataset.refused[before:],
    }


def _table(lines: list[dict[str, Any]], key: str) -> Floats:
    """Gather what JSON holds a row a capture; None is NaN."""
    return np.array([line[key] for line in lines], dtype=np.float64)
