"""Captures explained by a model: what ``mmdefect explain`` prints.

The paths are those of ``mmdefect inspect`` and so is the verdict; it takes longer, because every
strange patch is looked up among the good ones.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mmdefect.captures import Refusal
from mmdefect.errors import MmdefectError
from mmdefect.explain import Explanation
from mmdefect.inspection import Inspection
from mmdefect.layout import MASK
from mmdefect.line import found_below, loaded, reason

Row = dict[str, Any]


def explain(
    model: Inspection | str | Path, paths: Iterable[str | Path], nearest: int = 3
) -> Iterator[tuple[Row, Explanation | None]]:
    """Explain captures one after the other.

    Parameters
    ----------
    model : Inspection, str or Path
        One that was loaded, or a model's folder.
    paths : iterable of str or Path
        Folders in the grammar of the model's card, or frames.
    nearest : int
        Good parts told beside a strange patch.

    Yields
    ------
    dict
        What JSON holds of the explanation, with ``files``, ``refused`` and ``model``.
    Explanation or None
        None for what could not be judged.

    Raises
    ------
    ModelError
        When the model carries no card, or cannot be read.
    """
    inspection, digest = loaded(model)
    for found in found_below(inspection, paths):
        if isinstance(found, Refusal):
            yield {"capture": found.capture, "refused": [reason(found)], "model": digest}, None
            continue
        dataset, capture = found
        try:
            explanation = inspection.explain(dataset.scene(capture), nearest=nearest)
        except MmdefectError as error:
            refusal = Refusal(capture.id, "", "", str(error))
            yield {"capture": capture.id, "refused": [reason(refusal)], "model": digest}, None
            continue
        refused = [r for r in dataset.refused if r.capture == capture.id and r.sensor != MASK]
        yield (
            {
                **explanation.told(),
                "capture": capture.id,
                "files": {name: str(path) for name, path in capture.frames.items()},
                "refused": [reason(refusal) for refusal in refused],
                "model": digest,
            },
            explanation,
        )
