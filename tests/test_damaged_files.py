"""Files cut off or with flipped bits: a frame of the right dims or SensorError, nothing else."""

import tracemalloc
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mmdefect.errors import SensorError
from mmdefect.frames import read_array
from mmdefect.sensors.infrared import Infrared
from mmdefect.sensors.points import Points

LIMIT = 1 << 18
GREY = (np.arange(2400).reshape(40, 60) % 251 + 4).astype(np.uint16)
CLOUD = np.random.default_rng(0).normal(size=(5, 6, 3)).astype(np.float32) + 9


def write_hdf5(path: Path, **options: object) -> None:
    """Write the frame as an HDF5 dataset."""
    libver = options.pop("libver", "earliest")
    with h5py.File(path, "w", libver=libver) as file:
        file.create_dataset("entry/frame", data=GREY, **options)


def write_cloud(path: Path, encoding: str) -> None:
    """Write the cloud as PLY, or as PCD in literal LZF runs."""
    if path.suffix == ".ply":
        fields = "".join(f"property float {axis}\n" for axis in "xyz")
        header = f"ply\nformat {encoding} 1.0\nelement vertex 30\n{fields}end_header\n"
    else:
        header = (
            "VERSION 0.7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\nWIDTH 6\nHEIGHT 5\n"
            f"POINTS 30\nDATA {encoding}\n"
        )
    points = CLOUD.reshape(-1, 3)
    body = points.tobytes()
    if encoding == "ascii":
        body = "\n".join(" ".join(map(str, point)) for point in points.tolist()).encode()
    if encoding == "binary_compressed":
        planes = points.T.tobytes()
        runs = b"".join(b"\x1d" + planes[start : start + 30] for start in range(0, 360, 30))
        body = np.array([len(runs), 360], "<u4").tobytes() + runs
    path.write_bytes(header.encode() + body)


WRITERS = {
    "a.png": lambda path: Image.fromarray(GREY).save(path),
    "b.png": lambda path: Image.fromarray(GREY.astype(np.uint8)).convert("P").save(path),
    "a.jpg": lambda path: Image.fromarray(GREY.astype(np.uint8)).save(path, quality=100),
    "a.bmp": lambda path: Image.fromarray(GREY.astype(np.uint8)).save(path),
    "plain.tif": lambda path: tifffile.imwrite(path, GREY),
    "deflated.tif": lambda path: tifffile.imwrite(path, GREY, compression="zlib", rowsperstrip=9),
    "tiled.tif": lambda path: tifffile.imwrite(path, GREY, tile=(16, 16)),
    "lzw.tif": lambda path: Image.fromarray(GREY).save(path, compression="tiff_lzw"),
    "a.npy": lambda path: np.save(path, GREY),
    "a.npz": lambda path: np.savez_compressed(path, GREY),
    "plain.h5": write_hdf5,
    "packed.h5": partial(write_hdf5, chunks=(16, 16), compression="gzip", shuffle=True),
    "new.h5": partial(write_hdf5, chunks=(16, 16), compression="gzip", libver="latest"),
    "text.ply": partial(write_cloud, encoding="ascii"),
    "binary.ply": partial(write_cloud, encoding="binary_little_endian"),
    "binary.pcd": partial(write_cloud, encoding="binary"),
    "packed.pcd": partial(write_cloud, encoding="binary_compressed"),
}
DAMAGE = st.tuples(
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 7)), max_size=6),
    st.booleans(),
    st.floats(0, 1),
)


@pytest.fixture(autouse=True, scope="module")
def _low_limit():
    """Let the adapters read no more than the fuzzed files hold, with some room."""
    with pytest.MonkeyPatch.context() as patch:
        limited = partial(read_array, max_bytes=LIMIT)
        patch.setattr("mmdefect.sensors._frame.read_array", limited)
        yield


def adapter_of(name: str) -> Infrared | Points:
    """Make the adapter that reads a file."""
    cloud = name.endswith((".ply", ".pcd"))
    return Points(unit="mm", shape=[5, 6]) if cloud else Infrared(unit="K", scale=0.5)


@pytest.mark.parametrize("name", WRITERS)
def test_the_undamaged_file_reads_as_written(tmp_path, name):
    WRITERS[name](tmp_path / name)
    adapter = adapter_of(name)
    expected = np.moveaxis(CLOUD, -1, 0) if isinstance(adapter, Points) else GREY * 0.5
    tolerance = 2 if name == "a.jpg" else 1e-5
    np.testing.assert_allclose(adapter.read(tmp_path / name), expected, atol=tolerance)


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_cut_off_anywhere_is_refused(tmp_path, name):
    WRITERS[name](tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    trailer = {"a.png": 8, "b.png": 8, "a.jpg": 2, "lzw.tif": 4, "text.ply": 60}.get(name, 1)
    for length in np.linspace(0, len(whole) - trailer, 40).astype(int):
        (tmp_path / name).write_bytes(whole[:length])
        with pytest.raises(SensorError, match=name):
            adapter_of(name).read(tmp_path / name)


@pytest.mark.parametrize("name", WRITERS)
def test_a_damaged_file_is_a_frame_or_a_sensor_error(tmp_path, name):
    path = tmp_path / name
    WRITERS[name](path)
    whole = path.read_bytes()
    adapter = adapter_of(name)
    blind = adapter.read(path) * np.nan

    @given(DAMAGE)
    @settings(max_examples=80, deadline=None, derandomize=True, database=None)
    def damaged(damage):
        flips, cut, kept = damage
        body = bytearray(whole)
        for where, bit in flips:
            body[int(where * len(body))] ^= 1 << bit
        path.write_bytes(body[: int(kept * len(body))] if cut else body)
        tracemalloc.start()
        try:
            frame = adapter.read(path)
        except SensorError:
            frame = blind
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 16 * LIMIT
        assert frame.dims == (("axis", "y", "x") if isinstance(adapter, Points) else ("y", "x"))
        assert frame.dtype == np.float32
        assert not np.isinf(frame).any()

    damaged()
