"""Labels against masks and boxes: what contradicts, what is missing, what is too small to count.

A mask on a good part is either a wrong folder or a wrong mask; a defective part with an empty
mask is left out of the pixel metrics, silently in most programs. Both move numbers.
"""

from collections.abc import Iterator

import numpy as np

from mmdefect.captures import Capture
from mmdefect.doctor.findings import DOUBTFUL, GOOD_TO_KNOW, WRONG, Finding, Names, Seen
from mmdefect.errors import SensorError
from mmdefect.frames import read_array, single_channel

TINY = 9
_MOSTLY = 0.5
_MOST_VALUES = 12


class TruthCheck:
    """Looks at masks and boxes of one category.

    Parameters
    ----------
    category : str
    reference : str
        The sensor on whose frames masks are drawn.
    """

    def __init__(self, category: str, reference: str) -> None:
        self.category = category
        self.reference = reference
        self._there = 0
        self._values: set[int] = set()
        self._found: dict[str, Names] = {}

    def look(self, seen: Seen) -> None:
        """Read the mask; nothing of it is kept."""
        capture = seen.capture
        frame = seen.frames.get(self.reference)
        size = (frame.sizes["y"], frame.sizes["x"]) if frame is not None else None
        if capture.boxes is not None:
            self._look_at_boxes(capture, size)
        if capture.mask is None:
            if capture.label == "defect" and capture.boxes is None:
                self._note("missing", capture)
            return
        self._there += 1
        try:
            counts = single_channel(read_array(capture.mask))
        except SensorError:
            return  # the reader's refusal is told among the files
        self._look_at_mask(capture, counts, size)

    def _look_at_mask(
        self, capture: Capture, counts: np.ndarray, size: tuple[int, int] | None
    ) -> None:
        """Hold a mask against its capture's label and size."""
        if len(self._values) <= _MOST_VALUES:
            self._values |= {int(value) for value in np.unique(counts)[: _MOST_VALUES + 1]}
        marked = int((counts > 0).sum())
        if size is not None and counts.shape != size:
            self._note("size", capture)
        if capture.label == "good" and marked:
            self._note("on good", capture)
        if capture.label == "defect" and not marked:
            self._note("empty", capture)
        if 0 < marked <= TINY:
            self._note("tiny", capture)
        if marked > _MOSTLY * counts.size:
            self._note("mostly", capture)

    def _look_at_boxes(self, capture: Capture, size: tuple[int, int] | None) -> None:
        """Hold boxes against the size of the frame."""
        if size is not None and any(
            top < -1 or left < -1 or bottom > size[0] + 1 or right > size[1] + 1
            for top, left, bottom, right in capture.boxes or ()
        ):
            self._note("outside", capture)

    def _note(self, what: str, capture: Capture) -> None:
        self._found.setdefault(what, Names()).add(capture.id)

    def findings(self) -> Iterator[Finding]:
        """Say what contradicts, is missing or small."""
        for what, (severity, text, why, do) in _TOLD.items():
            names = self._found.get(what)
            if names is None:
                continue
            if what == "missing" and not self._there:
                severity, text = GOOD_TO_KNOW, "none of the {n} defective parts has a mask"
            yield Finding(
                severity,
                "truth",
                self.category,
                "",
                text.format(n=names.count),
                why,
                do,
                names.count,
                names.named,
            )
        others = sorted(self._values - {0})
        if len(others) > 1:
            shown = ", ".join(map(str, others[:_MOST_VALUES]))
            yield Finding(
                GOOD_TO_KNOW,
                "truth",
                self.category,
                "",
                f"masks hold the values {shown}",
                "every value above 0 counts as defect",
                "nothing, if the values are classes; if they are grey edges, binarise the masks",
            )


_TOLD = {
    "on good": (
        WRONG,
        "{n} captures under good have a mask that marks a defect",
        "either the folder or the mask is wrong; as a good part it would teach its defect",
        "move the part, or remove the mask",
    ),
    "empty": (
        DOUBTFUL,
        "{n} defective captures have an empty mask",
        "they count at the part level and are left out of the pixel metrics",
        "draw the mask, or remove it",
    ),
    "missing": (
        DOUBTFUL,
        "{n} defective captures have no mask",
        "they count at the part level and are left out of the pixel metrics",
        "draw the masks, or say with the numbers how many are left out",
    ),
    "tiny": (
        DOUBTFUL,
        f"{{n}} masks mark {TINY} pixels or fewer",
        "every region counts the same in AUPRO, so a speck weighs as much as a crack",
        "check whether they are strokes of the brush",
    ),
    "mostly": (
        GOOD_TO_KNOW,
        "{n} masks mark more than half of the picture",
        "an inverted mask looks like that",
        "check that the defect is what is marked",
    ),
    "size": (
        DOUBTFUL,
        "{n} masks have another size than the reference's frame",
        "they cannot be laid on it and are left out of the pixel metrics",
        "draw them on the reference's frame",
    ),
    "outside": (
        DOUBTFUL,
        "{n} captures have boxes that reach outside the frame",
        "the order of the columns may be another, or the boxes belong to another picture",
        "check [boxes] columns in the card",
    ),
}
