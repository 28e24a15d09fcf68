"""HDF5 that lies about its size, or shows another file's bytes, ends in SensorError."""

import io
import struct
import tracemalloc
import zlib
from collections.abc import Callable

import h5py
import numpy as np
import pytest

from mmdefect.errors import SensorError
from mmdefect.frames import read_array

GREY = (np.arange(2400).reshape(40, 60) % 251 + 1).astype(np.uint16)
STRUCTURED = np.zeros((2, 3), [("a", "f4"), ("b", "i2")])


def hdf5(fill: Callable[[h5py.File], object]) -> bytes:
    """Make an HDF5 file by a function that fills it."""
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        fill(file)
    return stream.getvalue()


def bomb_chunk(file: h5py.File) -> None:
    """Deflate 16 MiB into a chunk that declares 256 bytes."""
    frame = file.create_dataset("a", (16, 16), "u1", chunks=(16, 16), compression="gzip")
    frame.id.write_direct_chunk((0, 0), zlib.compress(bytes(1 << 24), 9))


def virtual(file: h5py.File) -> None:
    """Make a dataset out of another file's."""
    layout = h5py.VirtualLayout((2, 3), "u2")
    layout[...] = h5py.VirtualSource("other.h5", "a", (2, 3))
    file.create_virtual_dataset("a", layout)


def external(file: h5py.File) -> None:
    """Make a dataset out of the bytes of any file."""
    file.create_dataset("a", (2, 3), "u2", external=[("/etc/hostname", 0, 12)])


def link(file: h5py.File) -> None:
    """Make links into another file, directly and in two steps, and a link to itself."""
    file["other"] = h5py.ExternalLink("other.h5", "/")
    file["soft"] = h5py.SoftLink("/other/a")
    file["circle"] = h5py.SoftLink("/circle")
    file["group/a"] = np.zeros((2, 3))
    file["b"] = np.zeros((2, 3))


BAD = {
    "a bomb in HDF5": (
        hdf5(lambda f: f.create_dataset("a", (100000, 200000), "f8", chunks=(9, 9))),
        "declares 160000000000 bytes",
    ),
    "a huge chunk": (
        hdf5(
            lambda f: f.create_dataset(
                "a", (9, 9), "u2", chunks=(60000, 60000), maxshape=(None, None)
            )
        ),
        "declares 7200000000 bytes",
    ),
    "a chunk that is a bomb": (hdf5(bomb_chunk), "inflates beyond"),
    "complex HDF5": (hdf5(lambda f: f.create_dataset("a", data=GREY * 1j)), "complex128"),
    "HDF5 records": (
        hdf5(lambda f: f.create_dataset("a", data=STRUCTURED)),
        "values of type",
    ),
    "HDF5 text": (hdf5(lambda f: f.create_dataset("a", data=["a"])), "type object"),
    "HDF5 references": (
        hdf5(lambda f: f.create_dataset("a", data=f.ref, dtype=h5py.ref_dtype)),
        "type object",
    ),
    "nothing in HDF5": (hdf5(lambda f: f.create_group("a")), "holds 0 arrays \\(none\\)"),
    "a null dataset": (
        hdf5(lambda f: f.create_dataset("a", data=h5py.Empty("f4"))),
        "no value was ever",
    ),
    "an unwritten dataset": (
        hdf5(lambda f: f.create_dataset("a", (9, 9), "f4")),
        "no value was ever",
    ),
    "external storage": (hdf5(external), "values of '/a' in other files"),
    "a virtual dataset": (hdf5(virtual), "values of '/a' in other files"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_dataset_is_refused_with_its_file(tmp_path, case, recwarn):
    body, said = BAD[case]
    path = tmp_path / "a.h5"
    path.write_bytes(body)
    tracemalloc.start()
    with pytest.raises(SensorError, match=said) as caught:
        read_array(path, max_bytes=1 << 23)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert str(caught.value).startswith(f"{path}: ")
    assert peak < 1 << 24
    assert not recwarn.list


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("other/a", "link at 'other' that leads into another file"),
        ("soft", "link at 'other' that leads into another file"),
        ("circle", "link at 'circle' that leads into another file or in a circle"),
        ("group", "no dataset named 'group'; there are: b, group/a"),
        ("group/a/a", "no dataset named 'group/a/a'"),
        ("/", "no dataset named '/'"),
        (None, r"holds 2 arrays \(b, group/a\), but one was promised"),
    ],
)
def test_no_link_leads_out_of_an_hdf5_file(tmp_path, key, said):
    (tmp_path / "other.h5").write_bytes(hdf5(lambda f: f.create_dataset("a", data=GREY)))
    (tmp_path / "a.h5").write_bytes(hdf5(link))
    with pytest.raises(SensorError, match=said):
        read_array(tmp_path / "a.h5", key=key)


def test_a_chunk_that_claims_more_bytes_than_the_file_is_not_read(tmp_path):
    path = tmp_path / "a.h5"
    path.write_bytes(hdf5(lambda f: f.create_dataset("a", data=GREY, compression="gzip")))
    with h5py.File(path) as file:
        size = file["a"].id.get_chunk_info(0).size
    claimed = path.read_bytes().replace(struct.pack("<II", size, 0), struct.pack("<II", 1 << 24, 0))
    path.write_bytes(claimed)
    with pytest.raises(SensorError, match="chunks of '/a' beyond the file's end"):
        read_array(path)
