"""Scenes as netCDF-4 files, which any xarray, HDF5 viewer or MATLAB opens.

A scene is read back only when the file keeps everything to itself and within bounds, and only
when it still keeps a scene's promises. It is read through h5py: xarray's own way costs several
times as much, nearly all of it in looking up the names of dimensions again and again.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import mmdefect.panel  # noqa: F401 - gives datasets .mmdefect
from mmdefect.errors import SceneError
from mmdefect.frames import naming
from mmdefect.hdf5 import check_hdf5
from mmdefect.scene import check

MAX_BYTES = 1 << 32
_UNREADABLE = (AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError)
_DIMENSION_ONLY = "This is a netCDF dimension but not a netCDF variable"
_INTERNAL = {"CLASS", "NAME", "REFERENCE_LIST", "DIMENSION_LIST", "DIMENSION_LABELS"}


def save_scene(scene: xr.Dataset, path: Path) -> None:
    """Write a scene, in one go.

    Parameters
    ----------
    scene : Dataset
    path : Path
        Ends in ``.nc``; its folder must be there. Uncompressed: gzip costs ten times the read.

    Raises
    ------
    SceneError
        When the scene breaks a promise.
    """
    partial = path.with_name(path.name + ".partial")
    check(scene).to_netcdf(partial, engine="h5netcdf")
    os.replace(partial, path)


def load_scene(path: Path, *, max_bytes: int = MAX_BYTES) -> xr.Dataset:
    """Read a scene.

    Parameters
    ----------
    path : Path
    max_bytes : int
        Limit of what the file may declare, in bytes.

    Returns
    -------
    Dataset
        In memory; the file is closed.

    Raises
    ------
    SensorError
        When the file is not there, refers to other files or declares too much.
    SceneError
        When it holds something other than a scene.
    """
    with naming(path):
        _check_opens(path, max_bytes)
    try:
        return check(_read(path))
    except _UNREADABLE as error:
        if isinstance(error, SceneError):
            raise
        raise SceneError(
            f"'{path.name}' holds no scene ({error}); write it with save_scene"
        ) from error


def _read(path: Path) -> xr.Dataset:
    """Read the variables of a netCDF-4 file's root, as xarray would."""
    import h5py

    variables: dict[str, Any] = {}
    with h5py.File(path, "r") as file:
        for name, held in file.items():
            if not isinstance(held, h5py.Dataset):
                raise SceneError(f"'{path.name}' has a group {name!r}; a scene has none")
            if _text(held.attrs.get("NAME", "")).startswith(_DIMENSION_ONLY):
                continue
            values = held.asstr()[()] if h5py.check_string_dtype(held.dtype) else held[()]
            variables[name] = (_dims(file, name, held), np.asarray(values), _attrs(held))
        whole = xr.Dataset(attrs=_attrs(file))
    coords = {name for name, (dims, _, _) in variables.items() if dims == (name,)}
    bare = {name: xr.Variable(*told) for name, told in variables.items()}
    whole = whole.assign({k: v for k, v in bare.items() if k not in coords})
    return xr.decode_cf(whole.assign_coords({k: v for k, v in bare.items() if k in coords}))


def _dims(file: Any, name: str, held: Any) -> tuple[str, ...]:
    """Name a variable's dimensions: the scales it refers to, or itself."""
    if "DIMENSION_LIST" not in held.attrs:
        return (name,) if held.ndim == 1 else ()
    return tuple(file[scale[0]].name.lstrip("/") for scale in held.attrs["DIMENSION_LIST"])


def _attrs(held: Any) -> dict[str, Any]:
    """Give what a user wrote, without what the format keeps for itself."""
    return {
        key: _text(value) if isinstance(value, (str, bytes)) else value
        for key, value in held.attrs.items()
        if key not in _INTERNAL and not key.startswith(("_Netcdf4", "_NC", "_nc3"))
    }


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _check_opens(path: Path, max_bytes: int) -> None:
    """Turn what HDF5 itself says about a broken file into one clear error."""
    try:
        check_hdf5(path, max_bytes)
    except OSError as error:
        raise SceneError(
            f"is no HDF5 file that can be opened ({error}); a scene written by save_scene was "
            "promised"
        ) from error
