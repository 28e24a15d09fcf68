"""Scenes in the cache's own form: two datasets of HDF5, so that little is looked up on the way in.

netCDF-4 keeps some forty objects for a scene, and finding them takes longer than reading the values
of a small one. Here ``values`` (bytes) holds all arrays one after the other, and ``told`` (JSON)
their names, dimensions, types and attributes. It is read as carefully as any file of others; what
a person is to open is written by ``mmdefect.store``.
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mmdefect.errors import MmdefectError, SceneError
from mmdefect.hdf5 import check_hdf5
from mmdefect.scene import check

MAX_BYTES = 1 << 32
_ALIGNED = 64
_PLAIN = "biuf"
_BROKEN = (AttributeError, KeyError, OSError, RuntimeError, TypeError, ValueError)


def pack_scene(scene: xr.Dataset, path: Path) -> None:
    """Write a scene.

    Parameters
    ----------
    scene : Dataset
        Of arrays of numbers, truth values and text.
    path : Path
        Its folder must be there. What is written is whole only once this returns.

    Raises
    ------
    SceneError
        When the scene breaks a promise.
    """
    import h5py

    arrays, told, place = [], [], 0
    for name, variable in check(scene).variables.items():
        values = np.asarray(variable.values)
        line = {"name": name, "dims": variable.dims, "attrs": _plain(variable.attrs)}
        if values.dtype.kind in _PLAIN:
            line |= {"type": values.dtype.str, "shape": values.shape, "place": place}
            arrays.append((place, np.ascontiguousarray(values)))
            place += -(-values.nbytes // _ALIGNED) * _ALIGNED
        else:
            line["text"] = values.astype(str).tolist()
        told.append(line)
    whole = {"variables": told, "coords": list(scene.coords), "attrs": _plain(scene.attrs)}
    with h5py.File(path, "w") as file:
        held = file.create_dataset("values", (max(place, 1),), np.uint8)
        for start, values in arrays:
            if values.nbytes:
                held[start : start + values.nbytes] = values.reshape(-1).view(np.uint8)
        file["told"] = np.frombuffer(json.dumps(whole).encode(), np.uint8)


def unpack_scene(path: Path, *, max_bytes: int = MAX_BYTES) -> xr.Dataset:
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
        When the file refers to other files or declares too much.
    SceneError
        When it holds something other than a scene.
    """
    import h5py

    try:
        check_hdf5(path, max_bytes)
        with h5py.File(path, "r") as file:
            held = np.empty(file["values"].shape, np.uint8)
            file["values"].read_direct(held)
            whole = json.loads(file["told"][()].tobytes())
        variables = {line["name"]: _variable(line, held) for line in whole["variables"]}
        coords = {name: variables.pop(name) for name in whole["coords"]}
        return check(xr.Dataset(variables, coords, _arrays(whole["attrs"])))
    except MmdefectError:
        raise
    except _BROKEN as error:
        raise SceneError(f"'{path.name}' holds no packed scene ({error})") from error


def _variable(line: dict[str, Any], held: NDArray[np.uint8]) -> xr.Variable:
    """Make a variable of what is told of it."""
    if "text" in line:
        return xr.Variable(line["dims"], np.array(line["text"], dtype=str), _arrays(line["attrs"]))
    kind = np.dtype(line["type"])
    if kind.kind not in _PLAIN:
        raise ValueError(f"{line['name']!r} holds no numbers, but {kind}")
    start, count = int(line["place"]), math.prod(line["shape"])
    if not 0 <= start <= start + count * kind.itemsize <= len(held):
        raise ValueError(f"{line['name']!r} reaches beyond the values")
    flat = held[start : start + count * kind.itemsize].view(kind)
    return xr.Variable(line["dims"], flat.reshape(line["shape"]), _arrays(line["attrs"]))


def _plain(attrs: dict[Any, Any]) -> dict[str, Any]:
    """Bring attributes to what JSON can hold."""
    return {
        str(name): {"array": value.tolist(), "type": value.dtype.str}
        if isinstance(value, np.ndarray)
        else value.item() if isinstance(value, np.generic)
        else value
        for name, value in attrs.items()
    }  # fmt: skip


def _arrays(attrs: dict[str, Any]) -> dict[str, Any]:
    """Bring attributes back."""
    return {
        name: np.array(value["array"], dtype=value["type"]) if isinstance(value, dict) else value
        for name, value in attrs.items()
    }
