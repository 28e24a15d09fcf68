"""Datasets of HDF5 and netCDF-4 files, read so that a file can show nothing but itself.

* HDF5 can answer with the bytes of other files: external storage, external links and virtual
  datasets. All three are refused; soft links are followed within the file only.
* Extent, chunk and compressed chunk can each declare more memory than the file has bytes; each
  is measured before HDF5 allocates it.
* Attributes such as netCDF's ``scale_factor`` are not applied: the card states scale and offset.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdefect.arrays import (
    ZLIB_RATIO,
    check_bytes,
    check_declared,
    check_inflated,
    choose,
    frame_shape,
)
from mmdefect.errors import SensorError

_CHECKSUM_BYTES = 64
_MOST_LINKS = 8


def read_hdf5(
    path: Path, max_bytes: int, key: str | None = None, frame: int | None = None
) -> NDArray[Any]:
    """Read one dataset of an HDF5 or netCDF-4 file.

    Parameters
    ----------
    path : Path
        The file.
    max_bytes : int
        Limit of the declared size in bytes, of the dataset and of each chunk.
    key : str, optional
        The dataset's name with its groups, ``"entry/frame"``; may be left out when the file
        holds one dataset.
    frame : int, optional
        Read this one along the first of three or more axes.

    Returns
    -------
    ndarray
        The values as stored.

    Raises
    ------
    SensorError
        When the dataset is not there, lies in another file, holds no plain numbers, was never
        written, or declares too much.
    """
    import h5py

    with h5py.File(path, "r") as file:
        names = _names(file)
        node = follow(file, choose(names, None) if key is None else key)
        if not isinstance(node, h5py.Dataset):
            raise SensorError(
                f"holds no dataset named {key!r}; there are: {', '.join(names[:20]) or 'none'}; "
                "correct key"
            )
        return read_dataset(node, path.stat().st_size, max_bytes, frame)


def read_dataset(
    dataset: Any, file_bytes: int, max_bytes: int, frame: int | None = None
) -> NDArray[Any]:
    """Read a dataset, or one frame of it, after it was measured.

    Parameters
    ----------
    dataset : h5py.Dataset
        As from ``follow``.
    file_bytes : int
        Size of its file.
    max_bytes : int
        Limit of the declared size in bytes, of what is read and of each chunk.
    frame : int, optional
        Read this one along the first of three or more axes.

    Returns
    -------
    ndarray
        The values as stored.

    Raises
    ------
    SensorError
        When it lies in another file, holds no plain numbers, was never written, or declares too
        much.
    """
    _check_own_storage(dataset)
    shape = dataset.shape or ()
    check_declared(shape if frame is None else frame_shape(shape, frame), dataset.dtype, max_bytes)
    _check_chunks(dataset, file_bytes, max_bytes)
    if dataset.id.get_storage_size() == 0:
        raise SensorError(
            f"declares a dataset of shape {dataset.shape} in which no value was ever written; "
            "record the frame again"
        )
    return np.asarray(dataset[()] if frame is None else dataset[frame])


def check_hdf5(path: Path, max_bytes: int) -> None:
    """Refuse a file that another reader had better not open.

    Parameters
    ----------
    path : Path
        An HDF5 or netCDF-4 file.
    max_bytes : int
        Limit of the declared size in bytes, of all datasets together.

    Raises
    ------
    SensorError
        When a link leads out of the file, values lie elsewhere, or too much is declared.
    """
    import h5py

    with h5py.File(path, "r") as file:
        for name in file:
            if not isinstance(file.get(name, getlink=True), h5py.HardLink):
                raise SensorError(
                    f"has a link at {name!r}, but everything was promised to lie in its place; "
                    "copy the dataset into this file"
                )
        declared = 0
        for name in _names(file):
            _check_own_storage(file[name])
            _check_chunks(file[name], path.stat().st_size, max_bytes)
            declared += math.prod(file[name].shape or ()) * file[name].dtype.itemsize
        check_bytes(declared, max_bytes)


def _names(file: Any) -> list[str]:
    """List the datasets that the file itself holds; links are not followed."""
    import h5py

    names: list[str] = []

    def note(name: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset):
            names.append(name)

    file.visititems(note)
    return names


def follow(group: Any, key: str, links: int = _MOST_LINKS) -> Any:
    """Walk to a node part by part, so that no link leads out of the file unseen.

    Parameters
    ----------
    group : h5py.Group
        Where the way begins.
    key : str
        The node's name with its groups.
    links : int
        Most soft links that are followed.

    Returns
    -------
    h5py.Group, h5py.Dataset or None
        None when there is no such node.

    Raises
    ------
    SensorError
        When a link leads into another file or in a circle.
    """
    import h5py

    node = group
    parts = [part for part in key.split("/") if part]
    for position, part in enumerate(parts):
        link = node.get(part, getlink=True) if isinstance(node, h5py.Group) else None
        if link is None:
            return None
        if isinstance(link, h5py.SoftLink) and links:
            onward = "/".join([link.path, *parts[position + 1 :]])
            return follow(node.file if onward.startswith("/") else node, onward, links - 1)
        if not isinstance(link, h5py.HardLink):
            raise SensorError(
                f"has a link at {part!r} that leads into another file or in a circle, but a frame "
                "lies in its own file; copy the dataset into this file"
            )
        node = node[part]
    return node


def _check_own_storage(dataset: Any) -> None:
    """Refuse a dataset whose values lie in other files."""
    import h5py

    plan = dataset.id.get_create_plist()
    elsewhere = plan.get_external_count() > 0 or plan.get_layout() == h5py.h5d.VIRTUAL
    if elsewhere:
        raise SensorError(
            f"keeps the values of {dataset.name!r} in other files (external storage or a virtual "
            "dataset), but a frame lies in its own file; copy the values into this file"
        )


def _check_chunks(dataset: Any, file_bytes: int, max_bytes: int) -> None:
    """Refuse chunks that are larger, packed or unpacked, than the file or the frame may be."""
    if dataset.chunks is None:
        return
    chunk_bytes = math.prod(dataset.chunks) * dataset.dtype.itemsize
    check_bytes(chunk_bytes, max_bytes)
    stored: list[Any] = []
    dataset.id.chunk_iter(stored.append)
    if any(chunk.byte_offset + chunk.size > file_bytes for chunk in stored):
        raise SensorError(
            f"places chunks of {dataset.name!r} beyond the file's end at {file_bytes} bytes; "
            "it was cut off or damaged: record the frame again"
        )
    large = [chunk for chunk in stored if chunk.size * ZLIB_RATIO > max_bytes]
    _check_deflated(dataset, large, chunk_bytes)


def _check_deflated(dataset: Any, chunks: list[Any], chunk_bytes: int) -> None:
    """Refuse deflated chunks that inflate to more than a chunk holds."""
    import h5py

    plan = dataset.id.get_create_plist()
    filters = [plan.get_filter(position)[0] for position in range(plan.get_nfilters())]
    deflates = filters.count(h5py.h5z.FILTER_DEFLATE)
    if deflates > 1:
        raise SensorError(
            f"deflates {dataset.name!r} more than once, which no recorder does; "
            "do not trust this file"
        )
    if deflates == 0:
        return
    skipped = 1 << filters.index(h5py.h5z.FILTER_DEFLATE)
    for chunk in chunks:
        if not chunk.filter_mask & skipped:
            _, packed = dataset.id.read_direct_chunk(chunk.chunk_offset)
            check_inflated(packed, chunk_bytes + _CHECKSUM_BYTES)
