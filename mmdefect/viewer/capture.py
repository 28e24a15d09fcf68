"""One capture as the page has it: frames in their units, maps, regions, and the numbers beside.

* What is larger than ``SIDE`` is brought down, frames by their mean and maps by their highest
  value, and the page says so; what is left is rounded ever more coarsely until it fits the bytes.
* A sensor that was not there is told as absent, not left out.
"""

import base64
import json
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mmdefect.report.card import LEAST_TOP
from mmdefect.scene import present_in, registered_in, sensors_of
from mmdefect.viewer.cloud import cloud_of
from mmdefect.viewer.planes import frame_step, map_step, pack_plane

Plane = NDArray[np.floating]
Row = dict[str, Any]

SIDE = 1024
"""Longest side in pixels that is shown."""
MOST_BYTES = 2_900_000
"""Bytes of one packed capture: with the page around it stay below 3 MB."""
_COARSER = (1, 2, 4, 8, 16)
_MOST_CHANNELS = 4
_MOST_GOOD = 500
_SHOWN_ONLY = 4
"""How much more coarsely the cloud is rounded, from which no value is read."""
_JPEG_QUALITY = 88
_COLORS = {
    "points": ("height", "z"),
    "depth": ("height", "depth"),
    "infrared": ("temperature", "T"),
    "xray": ("transmission", "transmission"),
}
_CLIPPED = (1, 99)
_HEAD = ("capture", "label", "verdict", "image_score", "threshold", "zones", "faults")


class Packed(NamedTuple):
    """A packed capture: what a list of captures needs of it, and all of it as JSON."""

    head: Row
    text: str

    def write(self, path: Path) -> None:
        """Keep it on disk, to be shown later."""
        path.write_text(f"{json.dumps(self.head)}\n{self.text}", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "Packed":
        """Read what ``write`` kept."""
        head, _, text = path.read_text(encoding="utf-8").partition("\n")
        return cls(json.loads(head), text)


def pack_capture(
    scene: xr.Dataset,
    prediction: xr.Dataset,
    record: Row,
    good_scores: Sequence[float] = (),
    most_bytes: int = MOST_BYTES,
) -> Packed:
    """Pack one capture for the page.

    Parameters
    ----------
    scene : Dataset
        The frames, and ``defect`` (y, x) where the truth is known.
    prediction : Dataset
        With ``evidence_map`` (sensor, y, x) and ``anomaly_map`` (y, x); optionally
        ``attribution`` (sensor) and ``attribution_map`` (sensor, y, x).
    record : dict
        As ``mmdefect.records.record_of`` gives it, with ``capture`` and ``regions``.
    good_scores : sequence of float
        What calibration parts scored on the same sensors; shown beside the threshold.
    most_bytes : int
        Values are rounded more coarsely until it fits, sixteen times at most.

    Returns
    -------
    Packed
    """
    for coarseness in _COARSER:
        told = _Packing(scene, prediction, record, coarseness).told()
        told["good_scores"] = _thinned(good_scores)
        text = json.dumps(told, allow_nan=False, separators=(",", ":"))
        if len(text) <= most_bytes:
            break
    return Packed({key: told[key] for key in _HEAD}, text)


def _thinned(scores: Sequence[float]) -> list[float]:
    """Give the scores in order; of many, evenly chosen ones."""
    known = np.sort(np.asarray(scores, dtype=np.float64))
    known = known[np.isfinite(known)]
    if known.size > _MOST_GOOD:
        known = known[np.linspace(0, known.size - 1, _MOST_GOOD).round().astype(int)]
    return [float(score) for score in known]


class _Packing:
    """What the parts of one capture are packed from."""

    def __init__(
        self, scene: xr.Dataset, prediction: xr.Dataset, record: Row, coarseness: float
    ) -> None:
        self.scene = scene
        self.prediction = prediction
        self.record = record
        self.coarseness = coarseness
        self.every = -(-max(scene.sizes["y"], scene.sizes["x"]) // SIDE)

    def told(self) -> Row:
        """Give everything."""
        scene, record = self.scene, self.record
        fused = self.prediction["anomaly_map"].values
        truth = scene["defect"].values if "defect" in scene else None
        return {
            **{key: _text(record.get(key)) for key in ("capture", "category", "kind", "label")},
            **{key: record.get(key) for key in ("verdict", "image_score", "p_value", "threshold")},
            "zones": record.get("zones", {}),
            "faults": record.get("faults", {}),
            "size": [scene.sizes["y"], scene.sizes["x"]],
            "every": self.every,
            "coarseness": self.coarseness,
            "reference": _text(scene.attrs["reference"]),
            "top": _top(self.prediction),
            "sensors": [self._sensor(name) for name in sensors_of(scene)],
            "fused": None if np.isnan(fused).all() else self._map(fused),
            "truth": pack_plane(self._most(truth.astype(np.float32)), 1.0)
            if truth is not None and truth.any()
            else None,
            "regions": [_clean(row) for row in record.get("regions", [])],
            "why": _text(record.get("why")),
            "guarantee": _text(record.get("guarantee")),
        }

    def _sensor(self, name: str) -> Row:
        """Give one sensor: its frame, its maps, what it says alone."""
        frame = self.scene[name]
        present = name in present_in(self.scene)
        alone = self.record["sensors"].get(name, {})
        keys = ("score", "evidence", "p_value", "attribution")
        told: Row = {
            "name": _text(name),
            "modality": frame.attrs["modality"],
            "present": present,
            "registered": name in registered_in(self.scene),
            "asked": name in self.prediction["sensor"].values,
            "valid": float(self.scene["valid"].sel(sensor=name).mean()),
            **{key: alone.get(key) for key in keys},
        }
        if "attribution" in self.prediction and told["asked"]:
            share = float(self.prediction["attribution"].sel(sensor=name).item())
            told["attribution"] = share if np.isfinite(share) else None
        if present:
            told["frame"] = self._frame(frame)
        if present and told["asked"]:
            told |= self._maps(name)
        if present and frame.attrs["modality"] == "points":
            told["cloud"] = self._cloud(frame)
        return told

    def _maps(self, name: str) -> Row:
        """Give a sensor's evidence, and its share of the fused evidence."""
        told: Row = {}
        evidence = self.prediction["evidence_map"].sel(sensor=name).values
        if not np.isnan(evidence).all():
            told["evidence_map"] = self._map(evidence)
        if "attribution_map" in self.prediction and name in registered_in(self.scene):
            share = self.prediction["attribution_map"].sel(sensor=name).values
            told["attribution_map"] = self._map(share)
        return told

    def _frame(self, frame: xr.DataArray) -> Row:
        """Give what a sensor saw."""
        modality, unit = str(frame.attrs["modality"]), str(frame.attrs["units"])
        if modality == "rgb":
            shown = np.stack([self._mean(plane) for plane in frame.values], axis=-1)
            return {"picture": _jpeg(shown), "valid": _mask(shown)}
        colors, quantity = _COLORS[modality]
        channels = _channels(frame, quantity, unit)
        return {
            "colors": colors,
            "channels": [
                {"quantity": _text(what), "unit": _text(of), **self._channel(values)}
                for what, of, values in channels[:_MOST_CHANNELS]
            ],
            "left_out": max(0, len(channels) - _MOST_CHANNELS),
        }

    def _channel(self, values: Plane) -> Row:
        """Give one channel, with the values of its end colours."""
        shown = self._mean(values)
        known = values[np.isfinite(values)]
        low, high = np.percentile(known, _CLIPPED).tolist() if known.size else (0.0, 0.0)
        return {
            "plane": pack_plane(shown, frame_step(shown, self.coarseness)),
            "low": low,
            "high": high if high > low else low + 1.0,
        }

    def _cloud(self, frame: xr.DataArray) -> Row | None:
        """Give a thinned cloud: right, down and height."""
        found = cloud_of(frame)
        if found is None:
            return None
        points, every = found
        steps = [frame_step(axis, _SHOWN_ONLY * self.coarseness) for axis in points]
        planes = [pack_plane(axis, step) for axis, step in zip(points, steps, strict=True)]
        heights = points[2][np.isfinite(points[2])]
        spread = np.percentile(heights, _CLIPPED).tolist()
        return {"planes": planes, "every": every, "unit": frame.attrs["units"], "ends": spread}

    def _map(self, values: Plane) -> Row:
        """Give a map of evidence."""
        shown = self._most(values)
        return pack_plane(shown, map_step(shown, self.coarseness))

    def _mean(self, values: Plane) -> Plane:
        """Bring a frame down to what is shown, by the mean of what was measured."""
        if self.every == 1:
            return values
        known = np.isfinite(values)
        total = self._blocks(np.where(known, values, 0.0), np.add)
        count = self._blocks(known.astype(np.float64), np.add)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)

    def _most(self, values: Plane) -> Plane:
        """Bring a map down to what is shown, by its highest value."""
        if self.every == 1:
            return values
        highest = self._blocks(np.where(np.isnan(values), -np.inf, values), np.maximum)
        return np.where(np.isfinite(highest), highest, np.nan)

    def _blocks(self, values: Plane, reduce: np.ufunc) -> Plane:
        for axis, length in enumerate(values.shape):
            values = reduce.reduceat(values, np.arange(0, length, self.every), axis=axis)
        return values


def _channels(frame: xr.DataArray, quantity: str, unit: str) -> list[tuple[str, str, Plane]]:
    """List what a frame holds per pixel: quantity, unit and values; the shown one first."""
    modality = frame.attrs["modality"]
    quantity = str(frame.attrs.get("quantity", quantity))
    if modality == "points":
        return [("z", unit, frame.sel(axis="z").values)]
    if "channel" in frame.dims:
        names = [str(name) for name in frame["channel"].values]
        units = [str(name) for name in frame["channel_unit"].values]
        return list(zip(names, units, frame.values, strict=True))
    if modality == "xray":
        if frame.sizes["energy"] == 1:
            return [(quantity, unit, frame.values[0])]
        mean = frame.mean("energy", skipna=False).values
        labels = frame["energy"].values if "energy" in frame.coords else range(len(frame))
        pairs = zip(labels, frame.values, strict=True)
        each = [(f"{quantity} {label}", unit, values) for label, values in pairs]
        return [(f"{quantity}, mean", unit, mean), *each]
    return [(quantity, unit, frame.values)]


def _top(prediction: xr.Dataset) -> float:
    """Find the evidence of the last colour, shared by all maps of the capture."""
    highest = [float(prediction[name].max()) for name in ("evidence_map", "anomaly_map")]
    known = [value for value in highest if np.isfinite(value)]
    return float(np.clip(np.ceil(max([LEAST_TOP, *known])), LEAST_TOP, 40.0))


def _jpeg(colors: Plane) -> str:
    """Pack red, green and blue (y, x, 3) of 0 to 1."""
    from PIL import Image

    counts = np.round(np.nan_to_num(colors).clip(0, 1) * 255).astype(np.uint8)
    stream = BytesIO()
    Image.fromarray(counts).save(stream, "jpeg", quality=_JPEG_QUALITY, optimize=True)
    return base64.b64encode(stream.getvalue()).decode("ascii")


def _mask(colors: Plane) -> Row | None:
    """Pack where a picture (y, x, 3) was measured; None where everywhere."""
    blind = np.isnan(colors).any(axis=-1)
    return (
        pack_plane(np.where(blind, np.float32(np.nan), np.float32(0)), 1.0) if blind.any() else None
    )


def _clean(told: Any) -> Any:
    """Make every text in rows and lists one that UTF-8 can hold."""
    if isinstance(told, dict):
        return {_text(key): _clean(value) for key, value in told.items()}
    if isinstance(told, list | tuple):
        return [_clean(value) for value in told]
    return _text(told) if isinstance(told, str) else told


def _text(value: object) -> str | None:
    """Give a text that UTF-8 can hold: file names may hold halves of surrogate pairs."""
    return None if value is None else str(value).encode("utf-8", "replace").decode("utf-8")
