"""From a capture to an organised cloud, labelled, and to files that others read."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from mmdefect.errors import RegistrationError, SensorError
from mmdefect.registration import Camera, Rig
from mmdefect.structured.decode import Decoded, Limits, decode_files
from mmdefect.structured.stack import read_stack
from mmdefect.structured.stereo import match
from mmdefect.structured.triangulate import Depths, Sight, check_size, triangulate

_FLAGS = "sum of 1: dark or shadow, 2: saturated, 4: unsure, 8: outside, 16: lonely"


def decode_capture(
    path: str | Path,
    rig: Rig,
    *,
    second_path: str | Path | None = None,
    camera: str = "points",
    projector: str = "projector",
    second: str = "",
    limits: Limits | None = None,
    near: float | None = None,
    far: float = np.inf,
) -> xr.Dataset:
    """Decode a capture and triangulate it.

    Parameters
    ----------
    path : str or Path
        The stack of the first camera: its folder or its description.
    rig : Rig
        With the camera and, for one camera, the projector; for two, the second camera.
    second_path : str or Path, optional
        The stack of a second camera (active stereo).
    camera, projector, second : str
        Their names in the rig; the projector's is not read with two cameras.
    limits : Limits, optional
    near, far : float, mm
        Depths that are believed. With two cameras near is their distance when left out.

    Returns
    -------
    Dataset (axis, y, x)
        As from ``cloud_of``.

    Raises
    ------
    SensorError
        When a stack is not as described, or the two differ in what was projected.
    RegistrationError
        When the rig lacks a camera, or frames are not of its size.
    """
    if (second_path is None) != (not second):
        raise SensorError(
            f"second_path is {second_path!r} and second is {second!r}, but both or neither were "
            "promised; name the second camera of the rig and its stack"
        )
    limits, sight = limits or Limits(), Sight(_camera(rig, camera))
    other = _camera(rig, second or projector)
    stack = read_stack(path)
    check_size(stack.shape, sight.camera)
    decoded = decode_files(stack, limits)
    if second_path is None:
        depths = triangulate(decoded, sight, other, limits, near=near or 0.0, far=far)
    else:
        beside = read_stack(second_path)
        if replace(beside.code, gamma=stack.code.gamma) != stack.code:
            raise SensorError(
                f"{beside.folder}: another code than in {stack.folder} is described; both cameras "
                "must record one projection"
            )
        check_size(beside.shape, other)
        both = decoded, decode_files(beside, limits)
        depths = match(both, sight, other, limits, near=near, far=far)
    return cloud_of(decoded, depths, sight)


def _camera(rig: Rig, name: str) -> Camera:
    """Find a camera of the rig."""
    if name not in rig.cameras:
        raise RegistrationError(
            f"the rig {rig.name!r} has no camera {name!r}, but structured light needs it; add "
            f"[cameras.{name}] or name one of: {', '.join(rig.cameras)}"
        )
    return rig.cameras[name]


def cloud_of(decoded: Decoded, depths: Depths, sight: Sight) -> xr.Dataset:
    """Label a cloud.

    Parameters
    ----------
    decoded : Decoded
        Of the camera.
    depths : Depths
    sight : Sight

    Returns
    -------
    Dataset
        ``points`` (axis, y, x), float32, mm, in the frame that the camera's ``points_in`` says,
        NaN where not valid; ``valid`` (y, x); ``snr`` (y, x), 1; ``noise`` (y, x), mm, the
        standard deviation of depth; ``modulation`` (y, x), counts; ``flags`` (y, x), uint8.
    """
    camera = sight.camera
    points = np.empty((3, *depths.depth.shape), np.float32)
    points[2] = depths.depth
    np.multiply(sight.slopes, depths.depth, out=points[:2])
    if camera.points_in == "rig":
        in_rig = camera.pose.out_of(np.moveaxis(points, 0, -1).astype(np.float64))
        points = np.ascontiguousarray(np.moveaxis(in_rig, -1, 0), np.float32)
    plane = ("y", "x")
    return xr.Dataset(
        {
            "points": (("axis", *plane), points, {"units": "mm", "modality": "points"}),
            "valid": (plane, depths.flags == 0),
            "snr": (plane, decoded.snr, {"units": "1"}),
            "noise": (plane, depths.noise, {"units": "mm"}),
            "modulation": (plane, decoded.modulation, {"units": "counts"}),
            "flags": (plane, depths.flags, {"meaning": _FLAGS}),
        },
        coords={"axis": ["x", "y", "z"]},
        attrs={"frame": camera.points_in},
    )


def write_cloud(cloud: xr.Dataset, path: str | Path) -> None:
    """Write a cloud.

    Parameters
    ----------
    cloud : Dataset
        As from ``decode_capture``.
    path : str or Path
        ``.ply``: binary, all pixels in order with ``num_rows`` and ``num_cols``, NaN where not
        valid, with ``snr``; ``.npy``: (y, x, 3), float32, NaN where not valid; ``.nc``: everything.

    Raises
    ------
    SensorError
        When the suffix is another.
    """
    path = Path(path)
    writers: dict[str, Any] = {".ply": _write_ply, ".npy": _write_npy, ".nc": _write_nc}
    if path.suffix.lower() not in writers:
        raise SensorError(
            f"{path}: ends with {path.suffix!r}, but one of {', '.join(writers)} is written; "
            "choose one"
        )
    writers[path.suffix.lower()](cloud, path)


def _write_npy(cloud: xr.Dataset, path: Path) -> None:
    np.save(path, cloud["points"].transpose("y", "x", "axis").values)


def _write_nc(cloud: xr.Dataset, path: Path) -> None:
    packed = {name: {"zlib": True, "complevel": 1} for name in cloud.data_vars}
    cloud.to_netcdf(path, engine="h5netcdf", encoding=packed)


def _write_ply(cloud: xr.Dataset, path: Path) -> None:
    rows, columns = cloud["valid"].shape
    values = np.empty((rows, columns, 4), "<f4")
    values[..., :3] = cloud["points"].transpose("y", "x", "axis").values
    values[..., 3] = cloud["snr"].values
    header = [
        "ply",
        "format binary_little_endian 1.0",
        f"obj_info num_cols {columns}",
        f"obj_info num_rows {rows}",
        f"element vertex {rows * columns}",
        *(f"property float {name}" for name in ("x", "y", "z", "snr")),
        "end_header",
    ]
    with path.open("wb") as file:
        file.write(("\n".join(header) + "\n").encode("ascii"))
        file.write(values.tobytes())
