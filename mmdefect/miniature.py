"""A miniature of any card: made-up captures in the card's own layout.

Tests and examples read every card's folder grammar, file types and units for real, without the
data set. The parts are a textured plate with a bright disc; a defective one has a patch that every
sensor sees. Physics is the business of ``mmdefect.simulate``.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mmdefect.cards import Card, SensorEntry
from mmdefect.layout import BOXES, MASK, SPLITS, Slot

_SIDE = 48


def write_miniature(
    card: Card,
    root: Path,
    *,
    train: int = 30,
    test: int = 12,
    seed: int = 0,
    side: int = _SIDE,
) -> None:
    """Write a miniature.

    Parameters
    ----------
    card : Card
        Every sensor that has a folder in it gets frames.
    root : Path
        A new folder.
    train : int
        Good captures to learn from; a third as many more go to the calibration split where the
        card has one.
    test : int
        Captures to test; every second one is defective.
    seed : int
    side : int
        Pixels along each side of a frame.
    """
    wanted = [("train", "good", train), ("test", "good", test - test // 2)]
    wanted += [("test", "patch", test // 2)]
    if "calibration" in card.splits:
        wanted.append(("calibration", "good", train // 3))
    laid = _Laid(card, root)
    laid = _Laid(card, root)
    for number, (split, kind, count) in enumerate(wanted):
        first = 0 if laid.named_apart else number * max(train, test)
        for index in range(count):
            rng = np.random.default_rng([seed, number, index])
            slot = laid.slot(split, kind, first + index)
            _write_capture(card, root, slot, rng, side, defective=kind != "good")


class _Laid:
    """Where the captures of a miniature lie.

    Parameters
    ----------
    card : Card
    root : Path

    Attributes
    ----------
    named_apart : bool
        Whether folders keep captures of different splits and kinds apart.
    """

    def __init__(self, card: Card, root: Path) -> None:
        self._card = card
        self._sensor = next(iter(card.sensors))
        places = card.layout.places(self._sensor)
        self.named_apart = {"split", "kind"} <= set(places)
        self._category = (*places.get("category", ()), "plate")[0]
        splits = SPLITS if "series" in places else ()
        self._series = {split: self._series_of(split, root) for split in splits}

    def slot(self, split: str, kind: str, index: int) -> Slot:
        """Place a capture."""
        named = self._card.good[0] if kind == "good" else kind
        series = self._series.get(split, "")
        return Slot(self._category, split, named, f"{index:03d}", "", series)

    def _series_of(self, split: str, root: Path) -> str:
        """Find a series that the card puts into a split."""
        assign = self._card.truth.assign
        patterns = [pattern for patterns in assign.globs.values() for pattern in patterns]
        words: list[str] = re.findall(r"\w+", " ".join(patterns))
        for name in [*words, *(f"S{number}" for number in range(100))]:
            slot = Slot(self._category, "", "", "000", self._sensor, name)
            if assign.splits(root, {}).of(self._card.layout.path(slot, ".png")) == split:
                return name
        return "S0"


def _write_capture(
    card: Card, root: Path, slot: Slot, rng: np.random.Generator, side: int, *, defective: bool
) -> None:
    """Write every sensor's frame of one capture, and its truth."""
    surface = _surface(rng, side)
    mask = np.zeros((side, side), dtype=bool)
    if defective:
        top, left = rng.integers(side // 8, side - side // 3, size=2)
        mask[top : top + side // 5, left : left + side // 5] = True
    for name, entry in card.sensors.items():
        shown = surface + 0.01 * rng.standard_normal(surface.shape) + 0.35 * mask
        path = root / card.layout.path(slot._replace(target=name), _SUFFIX[entry.adapter])
        path.parent.mkdir(parents=True, exist_ok=True)
        _WRITERS[entry.adapter](path, shown.clip(0.01, 0.99), entry)
    _write_truth(card, root, slot, mask)


def _write_truth(card: Card, root: Path, slot: Slot, mask: np.ndarray) -> None:
    """Write the mask of a defective part, of every part where labels come from it, or its box."""
    if BOXES in card.frames:
        path = root / card.layout.path(slot._replace(target=BOXES), ".txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as rows:
            rows.write(_box_rows(card, slot, mask))
    elif card.layout.places(MASK) and (mask.any() or card.truth.labels == "truth"):
        path = root / card.layout.path(slot._replace(target=MASK), ".png")
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_png(path, np.where(mask, 255, 0).astype(np.uint8))
    if card.truth.assign.table:
        path = root / card.truth.assign.table
        path.parent.mkdir(parents=True, exist_ok=True)
        image = card.layout.path(slot._replace(target=next(iter(card.sensors))), ".png")
        header = "" if path.exists() else "image,split\n"
        with path.open("a", encoding="utf-8") as rows:
            rows.write(f"{header}{image},{slot.split}\n")


def _box_rows(card: Card, slot: Slot, mask: np.ndarray) -> str:
    """Write the box around a mask in the card's columns; nothing for a good part."""
    if not mask.any():
        return ""
    rows, columns = np.nonzero(mask)
    origin = card.truth.box_origin
    edges = {"frame": int(slot.capture), "top": rows.min() + origin, "left": columns.min() + origin}
    edges |= {"bottom": rows.max() + origin, "right": columns.max() + origin}
    return " ".join(f"{edges[name]:g}" for name in card.truth.box_columns) + "\n"


def _surface(rng: np.random.Generator, side: int) -> np.ndarray:
    """Make a plate with a disc: values within (0, 1)."""
    y, x = np.mgrid[:side, :side] / side
    phase = rng.uniform(0, 2 * np.pi, size=2)
    weave = 0.04 * np.sin(24 * x + phase[0]) * np.sin(24 * y + phase[1])
    disc = np.hypot(y - 0.5, x - 0.5) < 0.3
    plate: np.ndarray = 0.3 + weave + 0.2 * disc
    return plate


def _write_png(path: Path, counts: np.ndarray) -> None:
    from PIL import Image

    Image.fromarray(counts).save(path)


def _write_rgb(path: Path, shown: np.ndarray, entry: SensorEntry) -> None:
    """Write 8-bit colour."""
    tinted = np.stack([shown, 0.9 * shown, 0.8 * shown], axis=-1)
    _write_png(path, np.round(255 * tinted).astype(np.uint8))


def _write_counts(path: Path, shown: np.ndarray, entry: SensorEntry) -> None:
    """Write 16-bit counts that the card's scale turns into plausible values of its unit."""
    if "limits" in entry.options:
        _write_stretched(path, shown, entry)
        return
    low, high = _RANGE.get((entry.adapter, entry.options.get("unit")), (1000.0, 50000.0))
    scale, offset = entry.options.get("scale", 1.0), entry.options.get("offset", 0.0)
    counts = (low + (high - low) * shown - offset) / scale
    _write_png(path, counts.clip(1, 65535).round().astype(np.uint16))


def _write_stretched(path: Path, shown: np.ndarray, entry: SensorEntry) -> None:
    """Write counts over the whole range of their type, and beside them which range that is."""
    low, high = _RANGE.get((entry.adapter, entry.options.get("unit")), (1000.0, 50000.0))
    values = low + (high - low) * shown
    least, most = values.min(), values.max()
    counts = np.round(65535 * (values - least) / (most - least))
    _write_png(path, counts.astype(np.uint16))
    end, beside = entry.options["limits"]
    told = f"normalization:\n  max: {most:.9g}\n  min: {least:.9g}\n"
    path.with_name(path.name.removesuffix(end) + beside).write_text(told, encoding="utf-8")


def _write_points(path: Path, shown: np.ndarray, entry: SensorEntry) -> None:
    """Write an organised cloud over a plate of 100 mm, with a hole as vendors write holes."""
    import tifffile

    side = len(shown)
    millimetres = {"m": 1e-3, "cm": 0.1, "um": 1e3}.get(entry.options.get("unit", "mm"), 1.0)
    y, x = np.mgrid[:side, :side] * (100.0 / side)
    cloud = np.stack([x, y, 300.0 - 10.0 * shown], axis=-1) * millimetres
    cloud[:2, :2] = 0.0
    if path.suffix == ".pcd":
        _write_list(path, cloud.reshape(-1, 3))
        return
    tifffile.imwrite(path, cloud.astype(np.float32), photometric="rgb")


def _write_list(path: Path, points: np.ndarray) -> None:
    """Write points without rows and columns."""
    header = "# .PCD v0.7\nVERSION 0.7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\n"
    header += f"WIDTH {len(points)}\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS {len(points)}\n"
    rows = "".join(f"{x:.6g} {y:.6g} {z:.6g}\n" for x, y, z in points)
    path.write_text(f"{header}DATA ascii\n{rows}", encoding="utf-8")


_RANGE: dict[tuple[str, Any], tuple[float, float]] = {
    ("infrared", "K"): (290.0, 320.0),
    ("infrared", "degC"): (20.0, 50.0),
    ("depth", "m"): (0.3, 0.4),
    ("depth", "mm"): (300.0, 400.0),
}
_WRITERS: dict[str, Callable[[Path, np.ndarray, SensorEntry], None]] = {
    "rgb": _write_rgb,
    "infrared": _write_counts,
    "xray": _write_counts,
    "depth": _write_counts,
    "points": _write_points,
}
_SUFFIX = {name: ".tiff" if name == "points" else ".png" for name in _WRITERS}
