"""Every format against planted values, and against independent readers and writers."""

import struct
import zlib

import h5py
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mmdefect.errors import SensorError
from mmdefect.frames import read_array, read_mask

COLOURS = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)


def png(pixels: np.ndarray, color_type: int) -> bytes:
    """Write a PNG without Pillow; `pixels` is (y, x) or (y, x, channel)."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    height, width = pixels.shape[:2]
    big_endian = pixels.astype(pixels.dtype.newbyteorder(">"))
    rows = b"".join(b"\0" + row.tobytes() for row in big_endian)
    header = struct.pack(">IIBBBBB", width, height, 8 * pixels.itemsize, color_type, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_no_bit_of_a_sixteen_bit_colour_png_is_lost(tmp_path_factory, height, width, seed):
    pixels = np.random.default_rng(seed).integers(0, 65536, (height, width, 4), dtype=np.uint16)
    pixels[..., 3] = 65535
    path = tmp_path_factory.mktemp("deep") / "a.png"
    path.write_bytes(png(pixels[..., :3], 2))
    assert np.array_equal(read_array(path), pixels[..., :3])
    path.write_bytes(png(pixels, 6))
    assert np.array_equal(read_array(path), pixels[..., :3])


def test_jpeg_is_read_unturned_whatever_its_suffix(tmp_path):
    pixels = np.zeros((16, 32, 3), np.uint8)
    pixels[:, 16:] = [255, 0, 0]
    turned = Image.Exif()
    turned[274] = 6
    Image.fromarray(pixels).save(tmp_path / "a.jpg", exif=turned, quality=95)
    (tmp_path / "b.png").write_bytes((tmp_path / "a.jpg").read_bytes())
    for name in ("a.jpg", "b.png"):
        read = read_array(tmp_path / name)
        assert read.shape == (16, 32, 3)
        assert read[8, 28, 0] > 240 > 15 > read[8, 4, 0]


def test_palettes_are_expanded_and_opaque_alpha_is_dropped(tmp_path):
    palette = Image.fromarray(COLOURS).convert("P", palette=Image.Palette.ADAPTIVE, colors=256)
    palette.save(tmp_path / "p.png")
    palette.save(tmp_path / "p.tif")
    Image.fromarray(COLOURS).convert("RGBA").save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "a.tif", np.dstack([COLOURS, np.full((4, 5), 255, np.uint8)]))
    for name in ("p.png", "p.tif", "a.png", "a.tif"):
        assert np.array_equal(read_array(tmp_path / name), COLOURS)


@pytest.mark.parametrize(
    "dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "f2", "f4", "f8", ">u2", ">f4"]
)
@pytest.mark.parametrize("suffix", [".tif", ".npy", ".npz", ".h5"])
@pytest.mark.parametrize("shape", [(5, 6), (5, 6, 3), (2, 5, 6), (5, 6, 7)])
def test_every_type_and_shape_comes_back_in_native_order(tmp_path, dtype, suffix, shape):
    stored = np.random.default_rng(0).integers(0, 100, shape).astype(dtype)
    path = tmp_path / f"frame{suffix}"
    if suffix == ".tif":
        photometric = "rgb" if shape[-1] == 3 else "minisblack"
        order = ">" if ">" in dtype else "<"
        tifffile.imwrite(path, stored, byteorder=order, photometric=photometric)
    elif suffix == ".h5":
        with h5py.File(path, "w") as file:
            file["frame"] = stored
    else:
        (np.save if suffix == ".npy" else np.savez)(path, stored)
    read = read_array(path)
    assert np.array_equal(read, stored)
    assert read.dtype == np.dtype(dtype).newbyteorder("=")
    assert read.flags.c_contiguous


@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "u4", "i4", "f4"])
@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_compressed_tiff_is_read_without_loss(tmp_path, dtype, compression):
    stored = np.array([[0, 1], [2, 100]], dtype)
    if dtype in ("u2", "u4"):
        stored[0, 0] = np.iinfo(dtype).max
    path = tmp_path / "a.tif"
    kept = stored.astype("i4") if dtype in ("i2", "u4") else stored
    Image.fromarray(kept).save(path, compression=compression)
    if dtype == "u4":
        signed, unsigned = (struct.pack("<HHII", 339, 3, 1, form) for form in (2, 1))
        assert signed in path.read_bytes()
        path.write_bytes(path.read_bytes().replace(signed, unsigned))
    assert np.array_equal(read_array(path), stored)


@pytest.mark.parametrize("tile", [None, (16, 16)])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_channels_of_a_tiff_come_last_however_they_lie(tmp_path, tile, planar, compression):
    colours = np.random.default_rng(0).integers(0, 65536, (20, 33, 3), dtype=np.uint16)
    stored = colours if planar == "contig" else np.moveaxis(colours, -1, 0)
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, stored, photometric="rgb", planarconfig=planar, tile=tile, compression=compression
    )
    assert np.array_equal(read_array(path), colours)


def test_a_real_thermal_frame_reads_as_pillow_shows_it(shared_folder):
    thermal = shared_folder / "data" / "formats" / "example_radiometric.tiff"
    read = read_array(thermal)
    with Image.open(thermal) as image:
        assert np.array_equal(read, np.asarray(image))
    assert (read.shape, read.dtype) == ((512, 640), np.uint16)
    assert 250 < 0.04 * np.median(read) < 320


def test_links_within_an_hdf5_file_are_followed(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["entry/detector/counts"] = np.arange(6).reshape(2, 3)
        file["entry/frame"] = h5py.SoftLink("detector/counts")
        file["newest"] = h5py.SoftLink("/entry/frame")
        file["detector"] = h5py.SoftLink("/entry/detector")
    for key in (None, "newest", "/entry/frame", "detector/counts", "entry/detector/counts"):
        assert np.array_equal(read_array(tmp_path / "a.h5", key=key), [[0, 1, 2], [3, 4, 5]])


@pytest.mark.parametrize("suffix", [".npz", ".h5"])
def test_one_array_of_several_is_read_by_its_name(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    if suffix == ".npz":
        np.savez(path, first=np.zeros((2, 2)), second=np.ones((2, 2)))
    else:
        with h5py.File(path, "w") as file:
            file["first"], file["second"] = np.zeros((2, 2)), np.ones((2, 2))
    assert read_array(path, key="second").min() == 1
    with pytest.raises(SensorError, match=r"2 arrays \(first, second\), but one.*by key"):
        read_array(path)
    with pytest.raises(SensorError, match="'third'; there are: first, second"):
        read_array(path, key="third")


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp", "a.npy"])
def test_a_mask_is_true_wherever_the_value_is_above_zero(tmp_path, name):
    expected = np.array([[True, False, True], [False, False, True]])
    grey = expected * np.array([[1, 7, 255]], np.uint8)
    path = tmp_path / name
    for pixels in (grey, np.dstack([grey] * 3), expected):
        if path.suffix == ".npy":
            np.save(path, pixels)
        else:
            Image.fromarray(pixels).save(path)
        mask = read_mask(path)
        assert mask.dtype == bool
        assert np.array_equal(mask, expected)
    np.save(path.with_suffix(".npy"), COLOURS)
    with pytest.raises(SensorError, match=r"a\.npy: holds 3 channels that differ"):
        read_mask(path.with_suffix(".npy"))


@pytest.mark.parametrize("suffix", [".ply", ".pcd"])
@pytest.mark.parametrize("ascii_text", [True, False])
@pytest.mark.parametrize("compressed", [True, False])
def test_clouds_that_open3d_wrote_are_read_point_by_point(tmp_path, suffix, ascii_text, compressed):
    open3d = pytest.importorskip("open3d", exc_type=ImportError)
    points = np.random.default_rng(0).normal(size=(400, 3)).round(2)
    points[:100] = [1.5, 2.5, 700]
    points[7] = np.nan
    path = tmp_path / f"cloud{suffix}"
    cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(points))
    cloud.colors = open3d.utility.Vector3dVector(np.full((400, 3), 0.5))
    assert open3d.io.write_point_cloud(
        str(path), cloud, write_ascii=ascii_text, compressed=compressed
    )
    np.testing.assert_allclose(read_array(path), points, rtol=1e-5)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_binary_ply_is_read_in_either_byte_order_past_other_fields(tmp_path, order):
    fields = [("nx", f"{order}f8"), ("x", f"{order}f4"), ("y", f"{order}i2"), ("z", f"{order}f8")]
    points = np.array([(9.0, 1.5, 2, 3.5), (9.0, 4.5, -5, 6.5)], fields)
    kinds = {"nx": "double", "x": "float", "y": "short", "z": "float64"}
    header = f"ply\nformat binary_{'little' if order == '<' else 'big'}_endian 1.0\n"
    header += "comment größe\nelement vertex 2\n"
    header += "".join(f"property {kind} {name}\n" for name, kind in kinds.items())
    header += "element face 1\nproperty list uchar int vertex_indices\nend_header\n"
    path = tmp_path / "a.ply"
    path.write_bytes(header.encode() + points.tobytes() + b"\x03" + b"\0" * 12)
    np.testing.assert_array_equal(read_array(path), [[1.5, 2, 3.5], [4.5, -5, 6.5]])


def test_an_organised_pcd_keeps_its_rows(tmp_path):
    path = tmp_path / "a.pcd"
    header = (
        "# made by hand\nVERSION 0.7\nFIELDS rgb z x y\nSIZE 1 4 4 4\nTYPE U F F F\nCOUNT 3 1 1 1\n"
        "WIDTH 3\nHEIGHT 2\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS 6\nDATA ascii\n"
    )
    cloud = np.arange(18.0).reshape(2, 3, 3)
    cloud[0, 1] = np.nan
    path.write_text(header + "\n".join(f"1 2 3 {z} {x} {y}" for x, y, z in cloud.reshape(-1, 3)))
    np.testing.assert_array_equal(read_array(path), cloud)


@pytest.mark.parametrize("rows", [2, 4])
def test_a_ply_that_tells_its_rows_keeps_them_when_they_fit(tmp_path, rows):
    cloud = np.arange(18.0).reshape(2, 3, 3)
    header = (
        f"ply\nformat ascii 1.0\nobj_info num_cols 3\nobj_info num_rows {rows}\n"
        "obj_info made by hand\nelement vertex 6\nproperty float x\nproperty float y\n"
        "property float z\nend_header\n"
    )
    lines = "\n".join(f"{x} {y} {z}" for x, y, z in cloud.reshape(-1, 3))
    (tmp_path / "a.ply").write_text(header + lines)
    wanted = cloud if rows == 2 else cloud.reshape(-1, 3)
    np.testing.assert_array_equal(read_array(tmp_path / "a.ply"), wanted)


@pytest.mark.parametrize("encoding", ["binary", "binary_compressed"])
def test_a_binary_organised_pcd_keeps_its_rows(tmp_path, encoding):
    cloud = np.arange(18.0, dtype="<f4").reshape(2, 3, 3)
    header = (
        "VERSION 0.7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\nWIDTH 3\nHEIGHT 2\n"
        f"VIEWPOINT 0 0 0 1 0 0 0\nPOINTS 6\nDATA {encoding}\n"
    ).encode()
    stored = cloud.tobytes()
    if encoding == "binary_compressed":
        fields = np.ascontiguousarray(np.moveaxis(cloud, -1, 0)).tobytes()
        runs = [fields[start : start + 32] for start in range(0, len(fields), 32)]
        packed = b"".join(bytes([len(run) - 1]) + run for run in runs)
        stored = np.array([len(packed), len(fields)], "<u4").tobytes() + packed
    (tmp_path / "a.pcd").write_bytes(header + stored)
    np.testing.assert_array_equal(read_array(tmp_path / "a.pcd"), cloud)
