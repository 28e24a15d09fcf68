"""Captures judged and packed, ready to be shown in a notebook or written as one file."""

from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from mmdefect.errors import MmdefectError
from mmdefect.explain import Finding
from mmdefect.features._contrast import contrasts_kept
from mmdefect.inspection import Inspection
from mmdefect.records import record_of
from mmdefect.verdict import seen_in
from mmdefect.viewer.beside import GoodParts, Reader, beside
from mmdefect.viewer.capture import MOST_BYTES, Packed, pack_capture
from mmdefect.viewer.page import page_of
from mmdefect.whole import write_whole

Row = dict[str, Any]

_HEIGHT = 900
_PICTURED = 3
"""Regions whose nearest good patches are shown; the most surprising ones."""
_MOST_INLINE = 12_000_000


class View:
    """Packed captures, and the page that shows them.

    Parameters
    ----------
    captures : iterable of Packed
        From ``pack_capture``.
    title : str
    made : str
        What they were judged with.
    """

    def __init__(self, captures: Iterable[Packed], title: str, made: str = "") -> None:
        self.captures = list(captures)
        self.title = title
        self.made = made

    def __repr__(self) -> str:
        """Tell how much it holds."""
        held = sum(len(one.text) for one in self.captures) / 1e6
        return f"View of {len(self.captures)} captures, {held:.2f} MB; .save('FILE.html') writes it"

    def html(self) -> str:
        """Give the page.

        Returns
        -------
        str
            One HTML document that asks nothing of the network.
        """
        return "".join(self._pieces())

    def save(self, path: str | Path) -> Path:
        """Write the page, in one go.

        Parameters
        ----------
        path : str or Path

        Returns
        -------
        Path

        Raises
        ------
        MmdefectError
            When there is no capture, or nothing can be written there.
        """
        if not self.captures:
            raise MmdefectError("there is no capture to show; one at least was promised")
        return write_pieces(Path(path), self._pieces())

    def _repr_html_(self) -> str:
        """Show the page inside a notebook, walled off from it."""
        held = sum(len(one.text) for one in self.captures)
        if held > _MOST_INLINE:
            return (
                f"<p>{len(self.captures)} captures take {held / 1e6:.0f} MB, too much for a "
                "notebook; write them with <code>.save('FILE.html')</code>.</p>"
            )
        return (
            f'<iframe srcdoc="{escape(self.html(), quote=True)}" sandbox="allow-scripts" '
            f'title="{escape(self.title, quote=True)}" width="100%" height="{_HEIGHT}" '
            'style="border:0"></iframe>'
        )

    def _pieces(self) -> Iterator[str]:
        return page_of(self.captures, self.title, made=self.made)


def write_pieces(path: Path, pieces: Iterable[str]) -> Path:
    """Write a file under a temporary name beside it, then move it into place.

    Parameters
    ----------
    path : Path
    pieces : iterable of str

    Returns
    -------
    Path

    Raises
    ------
    MmdefectError
        When nothing can be written there.
    """

    def write(unfinished: Path) -> None:
        with unfinished.open("w", encoding="utf-8") as page:
            page.writelines(pieces)

    try:
        write_whole(path, write)
    except OSError as error:
        raise MmdefectError(f"'{path}' cannot be written: {error.strerror}") from error
    return path


def view(
    inspection: Inspection,
    scenes: xr.Dataset | Iterable[xr.Dataset],
    *,
    most_bytes: int = MOST_BYTES,
    good: Reader | None = None,
) -> View:
    """Judge scenes, and show why.

    Parameters
    ----------
    inspection : Inspection
        Fitted.
    scenes : Dataset or iterable of Dataset
        One scene or several.
    most_bytes : int
        Of one capture.
    good : Dataset, optional
        The data set that was learnt from: its patches are then shown beside those of the part.

    Returns
    -------
    View
        Shows itself in a notebook; ``save`` writes one HTML file.

    Raises
    ------
    NotFittedError
        Before ``fit``.
    SceneError
        When a scene has not the sensors or the size that were learnt.
    """
    several = [scenes] if isinstance(scenes, xr.Dataset) else scenes
    parts = good_parts(inspection, good)
    packed = [packed_scene(inspection, scene, most_bytes, good=parts) for scene in several]
    return View(packed, _title(inspection), made_with(inspection))


def packed_scene(
    inspection: Inspection,
    scene: xr.Dataset,
    most_bytes: int = MOST_BYTES,
    known: bool = True,
    good: GoodParts | None = None,
) -> Packed:
    """Judge one scene and pack it.

    Parameters
    ----------
    inspection : Inspection
    scene : Dataset
    most_bytes : int
    known : bool
        Whether the scene's label is the truth, to be shown beside the verdict.
    good : GoodParts, optional
        Whose patches are shown beside those of the first regions.

    Returns
    -------
    Packed
        For a ``View``.
    """
    prediction = inspection.predict(scene)
    explanation = inspection.explain(scene, prediction)
    with contrasts_kept():
        regions = [
            {**finding.why, "beside": _beside(scene, finding, good if number < _PICTURED else None)}
            for number, finding in enumerate(explanation.findings)
        ]
    told = scene.attrs if known else {}
    record: Row = {
        "capture": scene.attrs.get("capture", "capture"),
        **{key: told.get(key) for key in ("category", "kind", "label")},
        **record_of(prediction),
        "regions": regions,
        "guarantee": explanation.guarantee,
    }
    shared = prediction.assign(
        attribution=explanation.attribution, attribution_map=explanation.attribution_map
    )
    return pack_capture(scene, shared, record, good_scores(inspection, prediction), most_bytes)


def good_parts(inspection: Inspection, reader: Reader | None) -> GoodParts | None:
    """Give the good parts that a model learnt from, where a folder of them is known."""
    if reader is None or inspection.origin_ is None:
        return None
    return GoodParts(reader, inspection.origin_)


def _beside(scene: xr.Dataset, finding: Finding, good: GoodParts | None) -> list[Row | None]:
    """Show the patches of a region beside their nearest good ones, one of each match."""
    return [beside(scene, match, good) for match in finding.matches] if good else []


def good_scores(inspection: Inspection, prediction: xr.Dataset) -> list[float]:
    """Give what calibration parts scored on the sensors that a verdict rests on.

    Parameters
    ----------
    inspection : Inspection
    prediction : Dataset
        Judged.

    Returns
    -------
    list of float
    """
    there = np.isfinite(prediction["evidence"].values)
    used = [str(name) for name in prediction["sensor"].values[there]]
    if not used:
        return []
    scores: list[float] = inspection.calibration_.fused(used, seen_in(prediction)).tolist()
    return scores


def made_with(inspection: Inspection) -> str:
    """Say what judged: the model's hash and its false-alarm rate.

    Parameters
    ----------
    inspection : Inspection

    Returns
    -------
    str
    """
    model = f"model {inspection.model_.hash[:12]}, " if inspection.model_ else ""
    return f"{model}false-alarm rate {inspection.false_alarm:g}"


def _title(inspection: Inspection) -> str:
    origin = inspection.origin_
    return f"{origin.category}" if origin else "Captures"
