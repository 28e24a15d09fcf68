"""The simulated rig's raw files: what a real rig would leave in a folder, and the truth beside it.

* Ordinary vendor files (8-bit PNG, float TIFF with (0, 0, 0) holes, 16-bit counts with 0 for bad
  pixels), so that everything behind the sensor adapters is exercised as in the field.
* A capture depends on its seed, split and index alone: neither order nor number of captures
  matters, and a run that was interrupted goes on where it stopped, to the same bytes.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import tifffile
from PIL import Image

from mmdefect.errors import CardError
from mmdefect.simulate.capture import GOOD, KINDS, Capture, check_size, render_capture

Track: TypeAlias = Callable[[Iterable["Job"], int, str], Iterable["Job"]]

CARD = "card.toml"
TRUTH = "truth.json"
CATEGORY = "panel"
REVISION = 1
KELVIN_PER_COUNT = 0.01
GOOD_SHARE = 0.4
TRUTH_EVERY = 16

_ENDINGS = {"rgb": "png", "points": "tiff", "infrared": "png"}

_CARD = """\
name = "simulated-panel"
title = "Simulated three-sensor rig: CFRP panel"
licence = "made by mmdefect, free to use"
source = "mmdefect simulate --train {train} --test {test} --seed {seed}"
good = ["good"]

[frames]
rgb = "{{category}}/{{split}}/{{kind}}/rgb/{{capture}}.png"
points = "{{category}}/{{split}}/{{kind}}/points/{{capture}}.tiff"
infrared = "{{category}}/{{split}}/{{kind}}/infrared/{{capture}}.png"
mask = "{{category}}/{{split}}/{{kind}}/mask/{{capture}}.png"

[sensors.rgb]
adapter = "rgb"

[sensors.points]
adapter = "points"
unit = "mm"

[sensors.infrared]
adapter = "infrared"
unit = "K"
scale = 0.01

[rig]
reference = "rgb"
registered = ["points", "infrared"]
"""


@dataclass(frozen=True)
class Job:
    """One capture to be written.

    Parameters
    ----------
    split, kind : str
        Where it belongs.
    number : int
        Its number within the kind, which names its files.
    """

    split: str
    kind: str
    number: int

    @property
    def index(self) -> int:
        """Index within the split; a kind's n-th capture has the same one in every data set."""
        if self.split == "train":
            return self.number
        return self.number * len(KINDS) + KINDS.index(self.kind)

    @property
    def key(self) -> str:
        """Name of the capture in ``truth.json``."""
        return f"{CATEGORY}/{self.split}/{self.kind}/{self.number:03d}"

    def files(self, out: Path) -> dict[str, Path]:
        """Return where each frame goes, with the mask of a defective part."""
        endings = dict(_ENDINGS) if self.kind == GOOD else {**_ENDINGS, "mask": "png"}
        folder = out / CATEGORY / self.split / self.kind
        return {
            name: folder / name / f"{self.number:03d}.{ending}" for name, ending in endings.items()
        }


def plan(train: int, test: int) -> list[Job]:
    """List the captures of a data set.

    Parameters
    ----------
    train : int
        Good captures to learn from.
    test : int
        Captures to be judged: about 40 % good, the rest shared evenly by the kinds of defect,
        the first kinds taking what is left over.

    Returns
    -------
    list of Job
        All captures, training first.
    """
    good = round(GOOD_SHARE * test)
    each, over = divmod(test - good, len(KINDS) - 1)
    counts = [good, *(each + (k < over) for k in range(len(KINDS) - 1))]
    jobs = [Job("train", GOOD, number) for number in range(train)]
    for kind, count in zip(KINDS, counts, strict=True):
        jobs += [Job("test", kind, number) for number in range(count)]
    return jobs


def _write(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file under a temporary name, then move it into place at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(unfinished)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def _write_png(path: Path, counts: np.ndarray[Any, Any]) -> None:
    """Write counts as a PNG image."""
    image = Image.fromarray(np.ascontiguousarray(counts))
    _write(path, lambda unfinished: image.save(unfinished, format="PNG"))


def _write_tiff(path: Path, channels: np.ndarray[Any, Any]) -> None:
    """Write a (y, x, 3) float32 array as a TIFF image."""

    def write(unfinished: Path) -> None:
        tifffile.imwrite(unfinished, channels, photometric="rgb", metadata=None, software="")

    _write(path, write)


def write_capture(capture: Capture, files: dict[str, Path]) -> None:
    """Write one capture's raw files.

    Parameters
    ----------
    capture : Capture
        Frames and mask; NaN becomes what the vendor's file would hold.
    files : dict of str to Path
        Where each frame goes.
    """
    _write_png(files["rgb"], capture.rgb)
    points = np.where(np.isfinite(capture.points), capture.points, np.float32(0))
    _write_tiff(files["points"], points.astype(np.float32))
    counts = np.nan_to_num(np.rint(capture.infrared / KELVIN_PER_COUNT), nan=0.0)
    _write_png(files["infrared"], np.clip(counts, 0, 65535).astype(np.uint16))
    if "mask" in files:
        _write_png(files["mask"], capture.mask.astype(np.uint8) * 255)


def _check(train: int, test: int, seed: int, size: int) -> None:
    """Refuse numbers that make no data set."""
    if train < 1 or test < 0 or seed < 0:
        raise CardError(
            f"train={train}, test={test}, seed={seed} were asked for, but a data set has at least "
            "one training capture and no negative numbers: correct them"
        )
    check_size(size)


def _read_truth(out: Path, settings: dict[str, int]) -> dict[str, Any]:
    """Return what is known of the captures below `out`, empty for a new folder."""
    if not out.exists():
        return {}
    if not out.is_dir():
        raise CardError(f"'{out}' is a file, a folder was promised: name another one")
    path = out / TRUTH
    if not path.exists():
        if any(out.iterdir()):
            raise CardError(
                f"'{out}' holds other files and no '{TRUTH}'; a simulated data set wants an empty "
                "folder: name a new one"
            )
        return {}
    try:
        truth = json.loads(path.read_text(encoding="utf-8"))
        found, captures = truth["settings"], truth["captures"]
    except (ValueError, KeyError, TypeError):
        raise CardError(
            f"'{path}' is not the truth of a simulated data set; its folder cannot be resumed: "
            "name a new folder"
        ) from None
    if found != settings:
        raise CardError(
            f"'{out}' was simulated with {_wording(found)}, but {_wording(settings)} was asked "
            "for: name a new folder, or repeat the old settings to resume"
        )
    return dict(captures)


def _wording(settings: dict[str, int]) -> str:
    """Put settings into words."""
    return " ".join(f"{name}={value}" for name, value in settings.items())


def _entry(capture: Capture) -> dict[str, Any]:
    """Return what is true about one capture, for ``truth.json``."""
    return {
        "seed": list(capture.seed),
        "kind": capture.kind,
        "sizes": {name: round(value, 4) for name, value in capture.sizes.items()},
        "contrast_to_noise": {name: round(value, 4) for name, value in capture.contrast.items()},
    }


def _write_truth(out: Path, settings: dict[str, int], captures: dict[str, Any]) -> None:
    """Write what is true about all captures made so far."""
    text = json.dumps({"settings": settings, "captures": captures}, indent=1, sort_keys=True)
    _write(out / TRUTH, lambda unfinished: unfinished.write_text(text + "\n", encoding="utf-8"))


def _all_of(jobs: Iterable[Job], _total: int, _doing: str) -> Iterator[Job]:
    """Stand in for a progress bar."""
    return iter(jobs)


def simulate(
    out: Path,
    *,
    train: int = 40,
    test: int = 60,
    seed: int = 0,
    size: int = 192,
    track: Track | None = None,
) -> Path:
    """Write a made-up data set of a carbon-fibre panel seen by three sensors.

    Parameters
    ----------
    out : Path
        A new or empty folder, or one that this function began with the same settings; captures
        that are there already are not made again.
    train : int
        Good captures to learn from.
    test : int
        Captures to be judged: about 40 % good, the rest shared evenly by the kinds of defect.
    seed : int
        Every random step follows from it.
    size : int, px
        Rows and columns of each frame; the field of view is 96 mm.
    track : Callable, optional
        Wraps the captures for a progress bar: called as ``track(captures, total, "simulating")``.

    Returns
    -------
    Path
        The data set's card.

    Raises
    ------
    CardError
        When the folder holds anything else, was made with other settings, or the numbers make
        no data set.
    """
    out = Path(out)
    _check(train, test, seed, size)
    settings = {"train": train, "test": test, "seed": seed, "size": size, "revision": REVISION}
    captures = _read_truth(out, settings)
    _write_truth(out, settings, captures)
    jobs = plan(train, test)
    fresh = 0
    try:
        for job in (track or _all_of)(jobs, len(jobs), "simulating"):
            files = job.files(out)
            if job.key in captures and all(path.exists() for path in files.values()):
                continue
            capture = render_capture(
                job.kind, seed=seed, split=job.split, index=job.index, size=size
            )
            write_capture(capture, files)
            captures[job.key] = _entry(capture)
            fresh += 1
            if fresh % TRUTH_EVERY == 0:
                _write_truth(out, settings, captures)
    finally:
        _write_truth(out, settings, captures)
    card = _CARD.format(train=train, test=test, seed=seed)
    _write(out / CARD, lambda unfinished: unfinished.write_text(card, encoding="utf-8"))
    return out / CARD
