"""A miniature of any card: made-up captures in the card's own layout.

Tests and examples read every card's folder grammar, file types and units for real, without the
data set. The parts are a textured plate with a bright disc; a defective one has a patch that every
sensor sees. Physics is the business of ``mmdefect.simulate``.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mmdefect.cards import Card, SensorEntry
from mmdefect.layout import MASK, Slot

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
    for number, (split, kind, count) in enumerate(wanted):
        for index in range(count):
            rng = np.random.default_rng([seed, number, index])
            slot = Slot(
                "plate", split, card.good[0] if kind == "good" else kind, f"{index:03d}", ""
            )
            _write_capture(card, root, slot, rng, side, defective=kind != "good")


def _write_capture(
    card: Card, root: Path, slot: Slot, rng: np.random.Generator, side: int, *, defective: bool
) -> None:
    """Write every sensor's frame of one capture, and the mask of a defective one."""
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
    if defective:
        path = root / card.layout.path(slot._replace(target=MASK), ".png")
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_png(path, np.where(mask, 255, 0).astype(np.uint8))


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
    low, high = _RANGE.get((entry.adapter, entry.options.get("unit")), (1000.0, 50000.0))
    scale, offset = entry.options.get("scale", 1.0), entry.options.get("offset", 0.0)
    counts = (low + (high - low) * shown - offset) / scale
    _write_png(path, counts.clip(1, 65535).round().astype(np.uint16))


def _write_points(path: Path, shown: np.ndarray, entry: SensorEntry) -> None:
    """Write an organised cloud over a plate of 100 mm, with a hole as vendors write holes."""
    import tifffile

    side = len(shown)
    millimetres = {"m": 1e-3, "cm": 0.1, "um": 1e3}.get(entry.options.get("unit", "mm"), 1.0)
    y, x = np.mgrid[:side, :side] * (100.0 / side)
    cloud = np.stack([x, y, 300.0 - 10.0 * shown], axis=-1) * millimetres
    cloud[:2, :2] = 0.0
    tifffile.imwrite(path, cloud.astype(np.float32), photometric="rgb")


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
