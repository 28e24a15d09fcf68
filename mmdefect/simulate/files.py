"""The raw files of the simulated station, as a real one would leave them in a folder.

* ``station``: every sensor's frame on its own grid, in an ordinary file (16-bit TIFF and PNG,
  binary PCD with rows and columns), the rig file, the panel's flat and dark, a card.
* ``mvtec3d``: colour and points pixel on pixel, in the layout, the units (metres) and with the
  holes (0, 0, 0) of MVTec 3D-AD, so that anything made for that data set runs on it.
"""

from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from mmdefect.registration import write_rig
from mmdefect.simulate.capture import Capture, draw_hardware
from mmdefect.simulate.products import GOOD
from mmdefect.simulate.station import station
from mmdefect.simulate.xray.radiograph import dark_frame, flat_frame
from mmdefect.whole import write_whole

CARD = "card.toml"
KELVIN_PER_COUNT = 0.01
LAYOUTS = ("station", "mvtec3d")
_CALIBRATION_STREAM = 8
_MASK = "mask"

_PATTERNS = {
    "station": {
        "rgb": "rgb/{number:03d}.tiff",
        "points": "points/{number:03d}.pcd",
        "infrared": "infrared/{number:03d}.png",
        "xray": "xray/{number:03d}.png",
        _MASK: "mask/{number:03d}.png",
    },
    "mvtec3d": {
        "rgb": "rgb/{number:03d}.png",
        "points": "xyz/{number:03d}.tiff",
        _MASK: "gt/{number:03d}.png",
    },
}

_CARD = """\
name = "simulated-station"
title = "Simulated station: RGB, structured light, infrared, X-ray"
licence = "made by mmdefect, free to use"
source = "{command}"
good = ["good"]

[frames]
any = ["{{category}}/{{split}}/{{kind}}/{{sensor}}/{{capture}}"]

[sensors.rgb]

[sensors.points]
unit = "mm"

[sensors.infrared]
unit = "K"
scale = 0.01

[sensors.xray]
flat = "calibration/flat.png"
dark = "calibration/dark.png"

[rig]
file = "rig.toml"
mask_folders = ["mask"]
"""


def frame_paths(layout: str, folder: Path, number: int, kind: str) -> dict[str, Path]:
    """Say where a capture's files go.

    Parameters
    ----------
    layout : str
        One of ``LAYOUTS``.
    folder : Path
        Of its product, split and kind.
    number : int
    kind : str
        Only a defective part has a mask; in ``mvtec3d`` every test part has one.

    Returns
    -------
    dict of str to Path
        By sensor, and ``mask``.
    """
    masked = kind != GOOD or (layout == "mvtec3d" and folder.parent.name == "test")
    return {
        name: folder / pattern.format(number=number)
        for name, pattern in _PATTERNS[layout].items()
        if name != _MASK or masked
    }


def write_frames(capture: Capture, layout: str, paths: dict[str, Path]) -> None:
    """Write one capture's raw files.

    Parameters
    ----------
    capture : Capture
    layout : str
    paths : dict of str to Path
    """
    (_write_station if layout == "station" else _write_mvtec3d)(capture.frames, paths)
    if _MASK in paths:
        _write_png(paths[_MASK], capture.mask.astype(np.uint8) * 255)


def _write_station(frames: dict[str, NDArray[Any]], paths: dict[str, Path]) -> None:
    """Write four sensors' frames, each in its own format."""
    _write_tiff(paths["rgb"], frames["rgb"])
    _write_pcd(paths["points"], frames["points"])
    counts = np.nan_to_num(np.rint(frames["infrared"] / KELVIN_PER_COUNT), nan=0.0)
    _write_png(paths["infrared"], np.clip(counts, 0, 65535).astype(np.uint16))
    _write_png(paths["xray"], frames["xray"])


def _write_mvtec3d(frames: dict[str, NDArray[Any]], paths: dict[str, Path]) -> None:
    """Write colour in 8 bits and points in metres, (0, 0, 0) where none came back."""
    _write_png(paths["rgb"], (frames["rgb"] >> 8).astype(np.uint8))
    points = np.nan_to_num(frames["points"] / np.float32(1000), nan=0.0)
    _write_tiff(paths["points"], points.astype(np.float32))


def write_station(out: Path, *, seed: int, size: int) -> None:
    """Write what all captures of a station share: rig file, flat and dark of the X-ray panel.

    Parameters
    ----------
    out : Path
    seed : int
    size : int, px
    """
    rig = station(size)
    write_whole(out / "rig.toml", lambda path: write_rig(rig, path))
    detector = draw_hardware(rig, seed).detector
    flat, dark = np.random.default_rng((seed, _CALIBRATION_STREAM)).spawn(2)
    _write_png(out / "calibration" / "flat.png", flat_frame(detector, flat))
    _write_png(out / "calibration" / "dark.png", dark_frame(detector, dark))


def write_card(out: Path, command: str) -> Path:
    """Write the card of a station's captures, which names the command that makes them again."""
    text = _CARD.format(command=command)
    write_whole(out / CARD, lambda path: path.write_text(text, encoding="utf-8"))
    return out / CARD


def _write_png(path: Path, counts: NDArray[Any]) -> None:
    """Write counts as a PNG image."""
    image = Image.fromarray(np.ascontiguousarray(counts))
    write_whole(path, lambda unfinished: image.save(unfinished, format="PNG"))


def _write_tiff(path: Path, channels: NDArray[Any]) -> None:
    """Write a (y, x, 3) array as a TIFF image."""
    write_whole(
        path,
        lambda unfinished: tifffile.imwrite(
            unfinished, channels, photometric="rgb", metadata=None, software=""
        ),
    )


def _write_pcd(path: Path, points: NDArray[Any]) -> None:
    """Write an organised cloud (y, x, 3), mm, as binary PCD 0.7 that keeps rows and columns."""
    rows, columns = points.shape[:2]
    header = (
        "# .PCD v0.7 - Point Cloud Data file format\nVERSION 0.7\nFIELDS x y z\nSIZE 4 4 4\n"
        f"TYPE F F F\nCOUNT 1 1 1\nWIDTH {columns}\nHEIGHT {rows}\n"
        f"VIEWPOINT 0 0 0 1 0 0 0\nPOINTS {rows * columns}\nDATA binary\n"
    )
    body = header.encode("ascii") + points.astype("<f4").tobytes()
    write_whole(path, lambda unfinished: unfinished.write_bytes(body))
