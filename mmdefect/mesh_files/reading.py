"""One door for meshes: STL, OBJ, PLY and what a model carries.

Open3D's reader ends the process over a damaged file. Here corners and indices are held against
each other before anybody computes with them, corners that lie in one place become one, and faces
of more than three corners become fans of triangles.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmdefect.errors import SensorError
from mmdefect.mesh_files.obj import read_obj
from mmdefect.mesh_files.ply import read_columns, read_header
from mmdefect.mesh_files.stl import read_stl

MESHES = (".stl", ".obj", ".ply", ".safetensors")
"""Endings of files that hold a mesh; the last is how a model carries one."""
MOST_BYTES = 512 << 20
_FACES = ("vertex_indices", "vertex_index")


@dataclass(frozen=True)
class Mesh:
    """A surface of triangles.

    Attributes
    ----------
    corners : float32 array (corner, 3)
        In the file's unit, each place once.
    triangles : int32 array (triangle, 3)
        Places in `corners`, counterclockwise seen from outside.
    """

    corners: NDArray[np.float32]
    triangles: NDArray[np.int32]

    @property
    def digest(self) -> str:
        """SHA-256 over corners and triangles."""
        told = hashlib.sha256(np.ascontiguousarray(self.corners).tobytes())
        told.update(np.ascontiguousarray(self.triangles).tobytes())
        return told.hexdigest()


def read_mesh(path: Path, max_bytes: int = MOST_BYTES) -> Mesh:
    """Read a mesh.

    Parameters
    ----------
    path : Path
        STL, OBJ, PLY, or safetensors with ``corners`` and ``triangles``.
    max_bytes : int
        Largest file that is read.

    Returns
    -------
    Mesh
        Without triangles of no area.

    Raises
    ------
    SensorError
        When the file is missing, larger, damaged, or holds no triangle.
    """
    path = Path(path)
    try:
        if path.suffix.lower() not in MESHES:
            raise SensorError(
                f"ends with {path.suffix!r}, but one of {', '.join(MESHES)} was promised; export "
                "the part so"
            )
        if not path.is_file():
            raise SensorError("is no file, but a mesh was promised; correct the path")
        if path.stat().st_size > max_bytes:
            raise SensorError(
                f"has {path.stat().st_size} bytes, but at most {max_bytes} are read; export the "
                "part with larger triangles"
            )
        return _whole(*_read(path))
    except SensorError as error:
        raise SensorError(f"{path}: {error}") from error.__cause__
    except (ValueError, OSError, IndexError) as error:
        raise SensorError(
            f"{path}: could not be understood ({str(error)[:100]}), but a mesh was promised; "
            "export it again"
        ) from error


def write_mesh(mesh: Mesh) -> bytes:
    """Give a mesh as a model carries it.

    Parameters
    ----------
    mesh : Mesh

    Returns
    -------
    bytes
        A safetensors file.
    """
    from safetensors.numpy import save

    return save({"corners": mesh.corners, "triangles": mesh.triangles})


def _read(path: Path) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Read corners and triangles of one format."""
    suffix = path.suffix.lower()
    if suffix == ".stl":
        corners = read_stl(path).reshape(-1, 3)
        return corners, np.arange(len(corners)).reshape(-1, 3)
    if suffix == ".obj":
        places, values, counts = read_obj(path)
        return places, _fans(values, counts)
    if suffix == ".ply":
        return _ply(path)
    return _carried(path)


def _ply(path: Path) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Read the vertices and faces of a PLY file."""
    with path.open("rb") as stream:
        header = read_header(stream)
        held = path.stat().st_size - stream.tell()
        read = read_columns(stream, header, {"vertex", "face"}, held)
    faces = next((read["face"][name] for name in _FACES if name in read.get("face", {})), None)
    if faces is None or not {"x", "y", "z"} <= set(read.get("vertex", {})):
        raise SensorError("holds no faces, but a mesh was promised; is it a cloud of points?")
    axes = [read["vertex"][axis].values.astype(np.float64) for axis in "xyz"]
    return np.stack(axes, axis=-1), _fans(faces.values.astype(np.int64), faces.counts)


def _carried(path: Path) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Read what ``write_mesh`` wrote."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        held = load_file(path)
    except SafetensorError as error:
        raise SensorError(f"is no safetensors file ({error}); copy the model again") from error
    if set(held) != {"corners", "triangles"}:
        raise SensorError(f"holds {', '.join(sorted(held)) or 'nothing'}, but a mesh was promised")
    corners, triangles = held["corners"].astype(np.float64), held["triangles"].astype(np.int64)
    if corners.ndim != 2 or triangles.ndim != 2:
        raise SensorError("holds no corners and triangles, but a mesh was promised")
    return corners, triangles


def _fans(values: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Cut faces into triangles around their first corners."""
    if (counts < 3).any():
        raise SensorError(f"holds a face of {counts.min()} corners, but three were promised")
    starts = np.repeat(np.cumsum(counts) - counts, counts - 2)
    turns = np.arange(starts.size) - np.repeat(np.cumsum(counts - 2) - (counts - 2), counts - 2)
    triangles: NDArray[np.int64] = values[
        np.stack([starts, starts + turns + 1, starts + turns + 2], axis=-1)
    ]
    return triangles


def _whole(corners: NDArray[np.float64], triangles: NDArray[np.int64]) -> Mesh:
    """Hold triangles against corners, and put corners of one place together."""
    if corners.shape[1:] != (3,) or triangles.shape[1:] != (3,) or not len(triangles):
        raise SensorError("holds no triangle, but a mesh was promised; export it again")
    if triangles.min() < 0 or triangles.max() >= len(corners):
        raise SensorError(
            f"names the corners {triangles.min()} to {triangles.max()} of {len(corners)}; the file "
            "is damaged: export it again"
        )
    used = np.zeros(len(corners), np.bool_)
    used[triangles] = True
    if not (np.abs(corners[used]) < 1e30).all():
        raise SensorError("holds corners at no finite place; the file is damaged: export it again")
    single = np.where(used[:, np.newaxis], corners, 0.0).astype(np.float32) + np.float32(0)
    places, which = np.unique(single, axis=0, return_inverse=True)
    joined = which.reshape(-1)[triangles]
    a, b, c = joined.T
    kept = joined[(a != b) & (b != c) & (c != a)]
    if not len(kept):
        raise SensorError(
            "holds no triangle with an area, but a mesh was promised; export it again"
        )
    return Mesh(places, kept.astype(np.int32))
