"""Files of FLIR cameras: the thermogram, and the photograph taken beside it.

Counts in a PNG have their bytes the wrong way round in every camera that was met, but nothing in
the file says so. A picture that is torn into noise by one order and smooth in the other tells it.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdefect.arrays import MAX_BYTES, ZLIB_RATIO, check_bytes, check_declared
from mmdefect.errors import SensorError
from mmdefect.flir.camera import Air, Planck, Scene, read_camera, with_options
from mmdefect.flir.planck import balance, kelvin_of
from mmdefect.flir.records import CAMERA, PICTURE, RAW, Record, find_record
from mmdefect.flir.segments import flir_records
from mmdefect.frames import check_file, decoding, naming
from mmdefect.images import decode_image

_BODY = 32
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Thermogram:
    """What a camera recorded.

    Parameters
    ----------
    counts : array (y, x), uint16
    planck : Planck
    air : Air
    scene : Scene
        As the file states it.
    model : str
        Of the camera.
    """

    counts: NDArray[np.uint16]
    planck: Planck
    air: Air
    scene: Scene
    model: str

    def kelvin(self, told: Mapping[str, Any] | None = None) -> NDArray[np.float64]:
        """Give the part's temperature.

        Parameters
        ----------
        told : mapping, optional
            Fields of ``Scene`` that are known better than the file states them.

        Returns
        -------
        array (y, x), float64, K
            NaN where less arrives than the surroundings alone would send.

        Raises
        ------
        SensorError
            When the scene is impossible.
        """
        scene = with_options(self.scene, told or {})
        return kelvin_of(self.counts, self.planck, balance(self.planck, self.air, scene))


def read_flir(path: Path, *, max_bytes: int = MAX_BYTES) -> Thermogram:
    """Read a radiometric JPEG.

    Parameters
    ----------
    path : Path
        JPEG of a FLIR camera.
    max_bytes : int
        Limit of the file's size and of what its counts may declare, in bytes.

    Returns
    -------
    Thermogram

    Raises
    ------
    SensorError
        When the file is missing, damaged or not radiometric.
    """
    path = Path(path)
    with naming(path), decoding("radiometric JPEG"):
        records = _records(path, max_bytes)
        raw, camera = find_record(records, RAW), find_record(records, CAMERA)
        if raw is None or camera is None:
            missing = "counts of the detector" if raw is None else "constants of the camera"
            raise SensorError(
                f"holds no {missing}, but a radiometric picture was promised; set the camera to "
                "save radiometric JPEGs"
            )
        planck, air, scene, model = read_camera(camera)
        return Thermogram(_counts(raw, max_bytes), planck, air, scene, model)


def visible(path: Path, *, max_bytes: int = MAX_BYTES) -> NDArray[np.uint8]:
    """Read the photograph that a camera took beside the thermogram.

    Parameters
    ----------
    path : Path
        JPEG of a FLIR camera.
    max_bytes : int
        As in `read_flir`.

    Returns
    -------
    array (y, x, color), uint8
        Red, green and blue as stored, on the photograph's own grid.

    Raises
    ------
    SensorError
        When the file is missing or damaged, or holds no photograph.
    """
    path = Path(path)
    with naming(path), decoding("radiometric JPEG"):
        record = find_record(_records(path, max_bytes), PICTURE)
        if record is None:
            raise SensorError(
                "holds no photograph, but one was promised; set the camera to save it too"
            )
        photograph = decode_image(io.BytesIO(record.body[_BODY:]), max_bytes)
        if photograph.dtype != np.uint8 or photograph.ndim != 3:
            raise SensorError(
                f"holds a photograph of {photograph.dtype} {photograph.shape}, but 8-bit colour "
                "was promised; is it another camera's?"
            )
        return photograph


def _records(path: Path, max_bytes: int) -> bytes:
    """Read the records of a file."""
    check_file(path)
    check_bytes(path.stat().st_size, max_bytes)
    return flir_records(path.read_bytes())


def _counts(record: Record, max_bytes: int) -> NDArray[np.uint16]:
    """Decode the detector's counts (y, x)."""
    width, height = (int(side) for side in record.numbers("HH", 2))
    body = record.body[_BODY:]
    check_declared((height, width), np.dtype(np.uint16), max_bytes)
    packed = body.startswith(_PNG)
    wanted, held = 2 * width * height, len(body) * (ZLIB_RATIO if packed else 1)
    if held < wanted:
        raise SensorError(
            f"promises {height}x{width} pixels, but holds {len(body)} bytes of them; the file was "
            "cut off or damaged: copy it again"
        )
    if not packed:
        raw = np.frombuffer(body, f"{record.order}u2", width * height)
        return raw.reshape(height, width).astype(np.uint16)
    counts = decode_image(io.BytesIO(body), wanted)
    if counts.shape != (height, width) or counts.dtype != np.uint16:
        raise SensorError(
            f"holds {counts.dtype} {counts.shape}, but uint16 {(height, width)} was promised; the "
            "file was damaged: copy it again"
        )
    return _turned(counts)


def _turned(counts: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Turn the bytes of each count, unless the picture is far smoother as it stands."""
    swapped = counts.byteswap()
    as_stored, turned = (_roughness(order) for order in (counts, swapped))
    return counts if 2 * as_stored < turned else swapped


def _roughness(counts: NDArray[np.uint16]) -> float:
    """Give the mean difference of neighbours in a row, counts."""
    if counts.shape[1] < 2:
        return 0.0
    return float(np.abs(np.diff(counts.astype(np.int32), axis=1)).mean())
