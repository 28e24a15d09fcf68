"""One capture on the page: what every sensor saw, what was found in it, what followed.

* One column per sensor, frame above map, so that the eye compares a place with itself.
* All maps of a capture share one scale of evidence: a sensor that looks alarmed is alarmed.
  Evidence above 40 takes the last colour, else one glaring spot would hide all others.
* A sensor that was not there, or lies on a grid of its own, says so in words.
"""

import re
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import xarray as xr

from mmdefect.plane import plane_of
from mmdefect.report.colors import Colors
from mmdefect.report.groups import group_of
from mmdefect.report.numbers import ends, number, percent
from mmdefect.report.pictures import (
    Mask,
    Plane,
    color_jpeg,
    map_colors,
    map_png,
    overlaid,
    photo_colors,
    shaded,
    shrink,
    shrink_mask,
)
from mmdefect.scene import present_in, registered_in, sensors_of

Row = dict[str, Any]

LEAST_TOP, MOST_TOP = 10.0, 40.0
VERDICTS = {
    "good": "good",
    "defect": "defect",
    "refer": "refer",
    "not_inspectable": "not inspectable",
}
_SHOWN = {
    "points": ("height", "z "),
    "depth": ("height", "depth "),
    "infrared": ("temperature", "T "),
    "xray": ("transmission", "transmission "),
}
_CLIPPED = (1, 99)


@dataclass(frozen=True)
class _Capture:
    """What the tiles of one capture are drawn from."""

    scene: xr.Dataset
    prediction: xr.Dataset
    record: Row
    top: float
    defect: Mask | None

    def alt(self, what: str) -> str:
        """Describe a picture to who cannot see it."""
        return clean(f"{what} of {self.record['capture']}")

    def outline(self, sensor: str) -> Mask | None:
        """Give the ground truth where it lies on the sensor's grid."""
        return self.defect if sensor in registered_in(self.scene) else None


def clean(text: object) -> str:
    """Make a text of the data harmless in HTML, in attributes too.

    Parameters
    ----------
    text : object

    Returns
    -------
    str
        Escaped, and free of halves of surrogate pairs, which file names may hold and UTF-8 not.
    """
    return escape(str(text).encode("utf-8", "replace").decode("utf-8"), quote=True)


def capture_card(scene: xr.Dataset, prediction: xr.Dataset, record: Row) -> str:
    """Picture one capture.

    Parameters
    ----------
    scene : Dataset
        The frames, and ``defect`` (y, x) where the truth is known.
    prediction : Dataset
        With ``evidence_map`` (sensor, y, x) and ``anomaly_map`` (y, x), −ln p; optionally
        ``attribution`` (sensor), shares of the image score.
    record : dict
        One of ``results["captures"]``.

    Returns
    -------
    str
        An ``article`` element; its ``data-group`` names its group on the page.
    """
    truth = scene["defect"].values if "defect" in scene else None
    defect = shrink_mask(truth) if truth is not None and truth.any() else None
    capture = _Capture(scene, prediction, record, _top(prediction), defect)
    height, width = scene.sizes["y"], scene.sizes["x"]
    columns = [_fused(capture), *(_sensor(capture, name) for name in sensors_of(scene))]
    return (
        f'<article data-group="{group_of(record)}" data-category="{clean(record["category"])}" '
        f'data-kind="{clean(record["kind"])}" data-verdict="{clean(record["verdict"])}">\n'
        f"{_heading(capture)}\n"
        f'<div class="columns" style="--aspect:{width / height:.3f}">\n'
        f"{''.join(columns)}</div>\n</article>\n"
    )


def linked(fragment: str, address: str) -> str:
    """Make the name of a pictured capture lead to where one can look closer.

    Parameters
    ----------
    fragment : str
        From ``capture_card``.
    address : str
        Relative to the page.

    Returns
    -------
    str
    """
    before, name, after = re.split(r"<bdi>(.*?)</bdi>", fragment, maxsplit=1, flags=re.S)
    link = f'<a class="open" href="{clean(address)}"><bdi>{name}</bdi><span>look closer</span></a>'
    return f"{before}{link}{after}"


def _top(prediction: xr.Dataset) -> float:
    """Find the evidence of the last colour, shared by all maps of the capture."""
    highest = [prediction[name].max().item() for name in ("evidence_map", "anomaly_map")]
    return float(np.clip(np.ceil(np.nanmax([LEAST_TOP, *highest])), LEAST_TOP, MOST_TOP))


def _heading(capture: _Capture) -> str:
    """Say what was decided, and on which numbers."""
    record = capture.record
    score, threshold = record["image_score"], record["threshold"]
    limit = ", no threshold"
    if score is not None and threshold is not None:
        limit = f" {'&gt;' if score > threshold else '≤'} threshold {number(threshold)}"
    masked = capture.defect is not None or record["label"] == "good"
    unknown = "" if masked else ' <span class="note">no mask of the defect is known</span>'
    verdict = clean(record["verdict"])
    return (
        f"<header><h3><bdi>{clean(record['capture'])}</bdi></h3>\n"
        f'<p><span class="verdict {verdict}">verdict: '
        f"{VERDICTS[record['verdict']]}</span> "
        f'<span class="label">label: {clean(record["label"])}</span> '
        f"{clean(record['category'])}, {clean(record['kind'])}{unknown}</p>\n"
        f'<p class="numbers">score <b>{number(score)}</b>{limit} · '
        f"p-value <b>{number(record['p_value'])}</b>{_zones(record)}</p></header>"
    )


def _zones(record: Row) -> str:
    """Say what the zones that are judged apart say."""
    told = record.get("zones", {})
    return "".join(
        f" · zone {clean(name)}: {VERDICTS[zone['verdict']]} (p-value {number(zone['p_value'])})"
        for name, zone in told.items()
    )


def _fused(capture: _Capture) -> str:
    """Draw what all registered sensors say together, over the reference's frame and alone."""
    reference = str(capture.scene.attrs["reference"])
    evidence = capture.prediction["anomaly_map"].values
    body = _evidence_tile(capture, evidence, "fused evidence", capture.defect)
    if not np.isnan(evidence).all():
        shown = reference if reference in capture.scene else registered_in(capture.scene)[0]
        photo = _frame_colors(capture.scene[shown])
        laid = overlaid(photo, shrink(evidence, "max"), capture.top)
        body = _tile(
            color_jpeg(laid, capture.defect),
            capture.alt(f"fused evidence over the {shown} frame"),
            f"<span>over {clean(shown)}</span>",
        ) + body  # fmt: skip
    return _column("fused", "", body, [])


def _sensor(capture: _Capture, name: str) -> str:
    """Draw one sensor's frame and its evidence, or say that it was not there."""
    frame = capture.scene[name]
    kind = clean(frame.attrs["modality"]) if frame.attrs["modality"] != name else ""
    if name not in present_in(capture.scene):
        absent = f'<div class="absent" role="img" aria-label="{clean(name)} is absent">absent</div>'
        return _column(name, kind, absent, [("", "measured nothing in this capture")])
    body = _frame_tile(capture, name)
    rows = _sensor_numbers(capture, name)
    if name in capture.prediction["sensor"].values:
        evidence = capture.prediction["evidence_map"].sel(sensor=name).values
        body += _evidence_tile(capture, evidence, f"{name} evidence", capture.outline(name))
    if name not in registered_in(capture.scene):
        rows.append(("", "not registered (own grid): no outline, not in the fused map"))
    return _column(name, kind, body, rows)


def _sensor_numbers(capture: _Capture, name: str) -> list[tuple[str, str]]:
    """List what a sensor contributed."""
    alone = capture.record["sensors"].get(name)
    if alone is None:
        return [("", "not asked")]
    rows = [
        ("evidence", _bar(alone["evidence"], capture.top) + number(alone["evidence"])),
        ("p-value alone", number(alone["p_value"])),
        ("raw score", number(alone["score"])),
    ]
    if "attribution" in capture.prediction:
        share = _share(capture, name)
        rows.insert(1, ("share of score", _bar(share, 1.0) + percent(share)))
    return rows


def _share(capture: _Capture, name: str) -> float | None:
    """Give the part of the score above a usual good part's that came from a sensor."""
    own = capture.prediction["attribution"].sel(sensor=name).item()
    baseline = capture.prediction.attrs.get("baseline", 0.0)
    above = capture.prediction["image_score"].item() - baseline
    return own / above if np.isfinite(own) and np.isfinite(above) and above > 0 else None


def _frame_tile(capture: _Capture, name: str) -> str:
    """Draw what a sensor saw."""
    frame = capture.scene[name]
    alt = capture.alt(f"{name} frame")
    outline = capture.outline(name)
    modality = frame.attrs["modality"]
    if modality == "rgb":
        return _tile(color_jpeg(photo_colors(frame.values), outline), alt, "<span>frame</span>")
    colors, quantity = _SHOWN[modality]
    plane, low, high = _plane(frame)
    if colors == "height":
        drawn = color_jpeg(_frame_colors(frame), outline)
    else:
        drawn = map_png(plane, colors, low, high, outline)
    first, last = ends(low, high)
    unit = clean(frame.attrs["units"].replace("1", ""))
    if "quantity" in frame.attrs:
        quantity = f"{clean(str(frame.attrs['quantity']))} "
    quantity = quantity if unit != "relative" else ""
    if "channel" in frame.coords:
        first_channel = frame.isel(channel=0)
        quantity, unit = (clean(str(first_channel[c].item())) for c in ("channel", "channel_unit"))
        quantity, unit = f"{quantity} ", unit.replace("1", "")
    caption = f"<span>{quantity}{_ramp(colors, first, last)} {unit}</span>"
    return _tile(drawn, alt, caption)


def _plane(frame: xr.DataArray) -> tuple[Plane, float, float]:
    """Give the one plane of a frame that is shown, and the values of its end colours."""
    values = plane_of(frame)
    known = values[np.isfinite(values)]
    low, high = np.percentile(known, _CLIPPED).tolist() if known.size else (0.0, 0.0)
    return shrink(values, "mean"), low, high if high > low else low + 1.0


def _frame_colors(frame: xr.DataArray) -> Colors:
    """Give a frame as the colours of a thumbnail."""
    if frame.attrs["modality"] == "rgb":
        return photo_colors(frame.values)
    plane, low, high = _plane(frame)
    colors, _ = _SHOWN[frame.attrs["modality"]]
    drawn = map_colors(plane, colors, low, high)
    return shaded(drawn, plane) if colors == "height" else drawn


def _evidence_tile(capture: _Capture, evidence: Plane, what: str, outline: Mask | None) -> str:
    """Draw a map of evidence on the capture's common scale."""
    if np.isnan(evidence).all():
        words = clean(f"no {what}")
        return f'<div class="absent" role="img" aria-label="{words}">{words}</div>'
    highest = number(float(np.nanmax(evidence)))
    drawn = map_png(shrink(evidence, "max"), "score", 0.0, capture.top, outline)
    last = f"{capture.top:.0f}" + (" or more" if capture.top == MOST_TOP else "")
    caption = f"<span>{_ramp('score', '0', last)}</span> <span>highest {highest}</span>"
    return _tile(drawn, capture.alt(f"{what}, highest {highest},"), caption)


def _tile(address: str, alt: str, caption: str) -> str:
    """Frame a picture; ``alt`` and ``caption`` are HTML already."""
    return f'<figure><img src="{address}" alt="{alt}"><figcaption>{caption}</figcaption></figure>\n'


def _ramp(colors: str, low: str, high: str) -> str:
    """Draw a colour map between its end values."""
    return f'{low} <i class="ramp {colors}"></i> {high}'


def _bar(value: float | None, top: float) -> str:
    """Draw a number as a bar."""
    if value is None or value != value:
        return ""
    width = 100 * min(max(value / top, 0.0), 1.0)
    return f'<i class="bar"><i style="width:{width:.0f}%"></i></i> '


def _column(name: str, kind: str, body: str, rows: list[tuple[str, str]]) -> str:
    """Stack a sensor's pictures and numbers; ``rows`` are HTML already."""
    small = f" <small>{kind}</small>" if kind else ""
    listed = "".join(
        f"<dt>{term}</dt><dd>{text}</dd>" if term else f'<dd class="note">{text}</dd>'
        for term, text in rows
    )
    numbers = f"<dl>{listed}</dl>" if listed else ""
    return f'<section class="column"><h4>{clean(name)}{small}</h4>\n{body}{numbers}</section>\n'
