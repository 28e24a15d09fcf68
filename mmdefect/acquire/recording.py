"""Captures on disk: a folder of frames and a card, which every other command takes as it is.

* Values are kept as they were measured: counts in PNG and TIFF without loss, clouds in binary PCD
  with their rows and columns, holes as NaN.
* A frame appears under its name when it is whole and on disk; until then its name is hidden, so
  that a watcher never meets half of it.
* A sensor that delivered nothing has no file, and ``captures.jsonl`` says why; it also keeps the
  camera's own counts and times, and what the coordinates meant.
* Numbers go on where a folder ends. Nothing is ever overwritten.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any, Self

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from mmdefect.acquire.measuring import depth_of, measured
from mmdefect.acquire.session import Taken
from mmdefect.acquire.setup import Seat, Setup
from mmdefect.errors import AcquisitionError
from mmdefect.journal import Journal
from mmdefect.whole import write_whole

Row = dict[str, Any]

_DEFAULTS: dict[str, dict[str, Any]] = {
    "points": {"unit": "mm", "hole": "none", "camera_frame": False},
    "depth": {"unit": "mm"},
}


@dataclass(frozen=True)
class Target:
    """Where captures go.

    Parameters
    ----------
    out : Path
    split, kind : str
        Folders; empty for none. Without a kind the sensors' folders lie right below ``out``, as in
        a folder that is watched, and no card is written.
    rig : Path, optional
        A rig file that goes along.
    """

    out: Path
    split: str = ""
    kind: str = "good"
    rig: Path | None = None

    @property
    def folder(self) -> Path:
        """The folder of the sensors' folders."""
        return self.out.joinpath(*(part for part in (self.split, self.kind) if part))


class Recorder:
    """Writes captures; to be used in a ``with``.

    Parameters
    ----------
    target : Target
    setup : Setup

    Raises
    ------
    JournalError
        When another program records there.
    """

    def __init__(self, target: Target, setup: Setup) -> None:
        self.target, self.setup = target, setup
        target.folder.mkdir(parents=True, exist_ok=True)
        self._journal = Journal(target.out / "captures.jsonl")
        self._partial: tuple[dict[str, NDArray[Any]], Taken] | None = None
        self._next = 1 + max(self._numbers(), default=-1)

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of the journal; without any complete capture the card is of what there was."""
        if self._partial is not None and not (self.target.out / "card.toml").exists():
            self._write_card(*self._partial)
        self._journal.close()

    def write(self, taken: Taken) -> Row:
        """Write one capture.

        Parameters
        ----------
        taken : Taken

        Returns
        -------
        dict
            The line that ``captures.jsonl`` got: ``capture``, ``when``, ``trigger``, ``frames``,
            ``missing``, ``damaged``, ``cameras``, ``scan3d``.

        Raises
        ------
        AcquisitionError
            When a frame has not what its sensor needs, or the folder's card is another.
        """
        arrays = measured(taken.frames, self.setup.sensors)
        if set(arrays) == set(self.setup.sensors):
            self._write_card(arrays, taken)
        elif arrays:
            self._partial = arrays, taken
        name, frames = f"{self._next:04d}", {}
        for sensor, array in arrays.items():
            path = self.target.folder / sensor / f"{name}{suffix_of(array)}"
            write_whole(path, encoder(array), synced=True)
            frames[sensor] = path.relative_to(self.target.out).as_posix()
        row = self._row(name, taken, frames)
        self._journal.write(row)
        self._next += 1
        return row

    def _row(self, name: str, taken: Taken, frames: Mapping[str, str]) -> Row:
        seats = self.setup.sensors
        return {
            "capture": "/".join(p for p in (self.target.split, self.target.kind, name) if p),
            "when": taken.when.astimezone(UTC).isoformat(timespec="milliseconds"),
            "trigger": taken.number,
            "frames": dict(frames),
            "missing": [sensor for sensor in seats if sensor not in frames],
            "damaged": taken.damaged,
            "cameras": {
                camera: {
                    "number": frame.number,
                    "taken_ns": frame.taken_ns,
                    "formats": [part.format for part in frame.parts],
                }
                for camera, frame in taken.frames.items()
            },
            "scan3d": {
                sensor: taken.frames[seats[sensor].camera].scan3d.written()  # type: ignore[union-attr]
                for sensor in frames
                if seats[sensor].adapter in _DEFAULTS
            },
        }

    def _numbers(self) -> list[int]:
        """Find the numbers that are taken, whether their capture was finished or not."""
        stems = (path.stem for path in self.target.folder.glob("*/*"))
        told = (str(row.get("capture", "")).rpartition("/") for row in self._journal.rows())
        here = "/".join(part for part in (self.target.split, self.target.kind) if part)
        return [int(stem) for stem in stems if stem.isdecimal()] + [
            int(name) for folder, _, name in told if folder == here and name.isdecimal()
        ]

    def _write_card(self, arrays: Mapping[str, NDArray[Any]], taken: Taken) -> None:
        """Write the card, or hold it against the one that is there."""
        if not self.target.kind:
            return
        path, rig = self.target.out / "card.toml", dict(self.setup.rig)
        if self.target.rig is not None:
            rig["file"] = "rig.toml"
            if not (self.target.out / "rig.toml").exists():
                shutil.copyfile(self.target.rig, self.target.out / "rig.toml")
        options = {
            name: _options(seat, arrays.get(name), taken)
            for name, seat in self.setup.sensors.items()
        }
        text = _card_text(self.target.out.absolute().name, options, rig)
        known = path.read_text(encoding="utf-8") if path.exists() else ""
        if not known:
            write_whole(
                path, lambda unfinished: unfinished.write_text(text, encoding="utf-8"), synced=True
            )
        elif known != text:
            raise AcquisitionError(
                f"'{path}' is the card of other captures than these cameras take; record into a "
                "folder of their own"
            )


def _options(seat: Seat, array: NDArray[Any] | None, taken: Taken) -> dict[str, Any]:
    """Tell what a reader of the files has to know: the setup's word before what is usual."""
    usual = dict(_DEFAULTS.get(seat.adapter, {}))
    if seat.adapter == "rgb" and array is not None:
        usual |= {"grey": True} if array.ndim == 2 else {}
        depth = depth_of(taken.frames[seat.camera])
        usual |= {"scale": 1 / (2**depth - 1)} if depth not in (8, 16) else {}
    return usual | dict(seat.options)


def _card_text(name: str, sensors: Mapping[str, Mapping[str, Any]], rig: Mapping[str, Any]) -> str:
    """Write a card; JSON's texts, numbers, flags and lists are TOML's too."""
    lines = ['base = "folder"', f"name = {json.dumps(name)}"]
    tables = {f"sensors.{sensor}": told for sensor, told in sensors.items()} | {"rig": rig}
    for table, told in tables.items():
        if told:
            lines += ["", f"[{table}]", *(f"{key} = {json.dumps(v)}" for key, v in told.items())]
    return "\n".join(lines) + "\n"


def suffix_of(array: NDArray[Any]) -> str:
    """Choose the format that keeps an array as it is.

    Parameters
    ----------
    array : ndarray (y, x) or (y, x, 3)

    Returns
    -------
    str
        The file's ending.
    """
    if array.dtype.kind == "f":
        return ".pcd" if array.ndim == 3 else ".tiff"
    return ".tiff" if array.ndim == 3 and array.dtype.itemsize > 1 else ".png"


def encoder(array: NDArray[Any]) -> Callable[[Path], object]:
    """Make what writes an array.

    Parameters
    ----------
    array : ndarray (y, x) or (y, x, 3)

    Returns
    -------
    callable
        Writes to the path it is given, without loss.
    """
    suffix = suffix_of(array)
    if suffix == ".pcd":
        return lambda path: path.write_bytes(pcd_of(array))
    if suffix == ".png":
        image = Image.fromarray(np.ascontiguousarray(array))
        return lambda path: image.save(path, format="PNG", compress_level=1)
    photometric = "rgb" if array.ndim == 3 else "minisblack"
    return lambda path: tifffile.imwrite(path, array, photometric=photometric, metadata=None)


def pcd_of(points: NDArray[Any]) -> bytes:
    """Write an organised cloud as binary PCD 0.7 that keeps rows and columns.

    Parameters
    ----------
    points : ndarray (y, x, 3)
        mm, NaN at holes.

    Returns
    -------
    bytes
    """
    rows, columns = points.shape[:2]
    header = [
        "# .PCD v0.7 - Point Cloud Data file format",
        "VERSION 0.7",
        "FIELDS x y z",
        "SIZE 4 4 4",
        "TYPE F F F",
        "COUNT 1 1 1",
        f"WIDTH {columns}",
        f"HEIGHT {rows}",
        "VIEWPOINT 0 0 0 1 0 0 0",
        f"POINTS {rows * columns}",
        "DATA binary",
    ]
    return ("\n".join(header) + "\n").encode("ascii") + points.astype("<f4").tobytes()
