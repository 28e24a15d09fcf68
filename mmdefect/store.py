"""Scenes as netCDF-4 files, which any xarray, HDF5 viewer or MATLAB opens.

A scene is read back only when the file keeps everything to itself and within bounds, and only
when it still keeps a scene's promises.
"""

import os
from pathlib import Path

import xarray as xr

from mmdefect.errors import SceneError
from mmdefect.frames import naming
from mmdefect.hdf5 import check_hdf5
from mmdefect.scene import check

MAX_BYTES = 1 << 32


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
        return check(xr.load_dataset(path, engine="h5netcdf"))
    except (OSError, ValueError, KeyError) as error:
        if isinstance(error, SceneError):
            raise
        raise SceneError(
            f"'{path.name}' holds no scene ({error}); write it with save_scene"
        ) from error


def _check_opens(path: Path, max_bytes: int) -> None:
    """Turn what HDF5 itself says about a broken file into one clear error."""
    try:
        check_hdf5(path, max_bytes)
    except OSError as error:
        raise SceneError(
            f"is no HDF5 file that can be opened ({error}); a scene written by save_scene was "
            "promised"
        ) from error
