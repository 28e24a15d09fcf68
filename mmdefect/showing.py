"""Captures shown by a model: what ``mmdefect view`` writes.

* Paths lead to captures as they do for ``mmdefect inspect``; labels and masks that may lie there
  are not looked at.
* A capture that cannot be judged is listed and does not stop the others; a frame that cannot be
  read costs that frame, and the page says that the sensor is absent.
"""

from collections.abc import Iterable
from pathlib import Path

from mmdefect.captures import Refusal
from mmdefect.dataset import Dataset
from mmdefect.errors import MmdefectError
from mmdefect.inspection import Inspection
from mmdefect.line import found_below, loaded, without_truth
from mmdefect.progress import track
from mmdefect.viewer import View, good_parts, made_with, packed_scene


def show(
    model: Inspection | str | Path,
    paths: Iterable[str | Path],
    most: int = 100,
    good: str | Path | None = None,
) -> tuple[View, list[Refusal], int]:
    """Judge captures and pack them for the viewer.

    Parameters
    ----------
    model : Inspection, str or Path
        One that was loaded, or a model's folder.
    paths : iterable of str or Path
        Folders in the grammar of the model's card, or frames.
    most : int
        Captures to pack at most.
    good : str or Path, optional
        The folder of the captures learnt from: their patches are then shown too.

    Returns
    -------
    View
    list of Refusal
        What could not be judged or read, and why.
    int
        How many captures were left out.

    Raises
    ------
    ModelError
        When the model carries no card, or cannot be read.
    """
    inspection, _ = loaded(model)
    listed = list(found_below(inspection, paths))
    refused = [one for one in listed if isinstance(one, Refusal)]
    found = [one for one in listed if not isinstance(one, Refusal)]
    parts = good_parts(inspection, _learnt_from(inspection, good))
    packed = []
    for dataset, capture in track(found[:most], len(found[:most]), "judging"):
        before = len(dataset.refused)
        try:
            packed.append(packed_scene(inspection, dataset.scene(capture), known=False, good=parts))
        except MmdefectError as error:
            refused.append(Refusal(capture.id, "", "", str(error)))
        refused += dataset.refused[before:]
    category = inspection.origin_.category if inspection.origin_ else ""
    view = View(packed, category, made_with(inspection))
    return view, refused, max(0, len(found) - most)


def _learnt_from(inspection: Inspection, folder: str | Path | None) -> Dataset | None:
    """Open the folder of the captures that a model learnt from, as the model reads captures."""
    origin = inspection.origin_
    if folder is None or origin is None:
        return None
    card = without_truth(origin.card)
    return Dataset(card, Path(folder), sensors=origin.sensors, learnt=origin)
