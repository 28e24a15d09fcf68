"""Every bad file ends in SensorError: never another error, a warning, or a huge allocation."""

import io
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import tifffile
from PIL import Image

from mmdefect.errors import SensorError
from mmdefect.frames import read_array
from mmdefect.lzf import unpack_lzf

GREY = (np.arange(2400).reshape(40, 60) % 251 + 1).astype(np.uint16)
BYTES = GREY.astype(np.uint8)


def chunk(name: bytes, body: bytes) -> bytes:
    """Make a chunk of a PNG."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width: int, height: int, depth: int, kind: int, rows: bytes, extra: bytes = b"") -> bytes:
    """Make a PNG whose header may say anything."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))
    body = extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + body


def tiff(width: int, height: int, pixels: bytes, **tags: int) -> bytes:
    """Make a TIFF of one 16-bit strip, whose tags may say anything."""
    said = {256: width, 257: height, 258: 16, 259: 1, 262: 1, 273: 8, 277: 1, 278: height}
    said |= {279: len(pixels)} | {int(tag[1:]): value for tag, value in tags.items()}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, said[tag]) for tag in sorted(said))
    start = struct.pack("<2sHI", b"II", 42, 8 + len(pixels)) + pixels
    return start + struct.pack("<H", len(said)) + entries + b"\0" * 4


def npy(header: str, body: bytes = b"") -> bytes:
    """Make an npy file whose header may say anything."""
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + body


def encoded(kind: str, pixels: np.ndarray = BYTES, **options: object) -> bytes:
    """Encode pixels by Pillow."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **options)
    return stream.getvalue()


def saved(array: np.ndarray, save: Callable[..., object] = np.save) -> bytes:
    """Save an array by NumPy or tifffile."""
    stream = io.BytesIO()
    save(stream, array)
    return stream.getvalue()


def zipped(body: bytes) -> bytes:
    """Pack an npy file into an npz archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("frame.npy", body)
    return stream.getvalue()


CIRCLE = tiff(60, 40, GREY.tobytes())
STORED = zlib.compress(bytes(3 * 61), 0)
DAMAGED = bytearray(png(60, 3, 8, 0, b"", extra=chunk(b"IDAT", STORED[:-4])))
DAMAGED = DAMAGED.replace(chunk(b"IDAT", zlib.compress(b"")), chunk(b"IDAT", STORED[-4:]))
DAMAGED[100] ^= 1
CMYK = io.BytesIO()
Image.new("CMYK", (3, 3)).save(CMYK, "JPEG")
RGBA = np.dstack([BYTES] * 4)
PLY = "ply\nformat {} 1.0\nelement vertex {}\n{}end_header\n"
XYZ = "property float x\nproperty float y\nproperty float z\n"
PCD = (
    "FIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\nWIDTH {0}\nHEIGHT 1\nPOINTS {0}\nDATA {1}\n"
)
HUGE = "{'descr': '<f8', 'fortran_order': False, 'shape': (100000, 200000), }\n"
STRUCTURED = np.zeros((2, 3), [("a", "f4"), ("b", "i2")])
OBJECTS = np.array([[print]], object)
BAD = {
    "an empty file": ("a.png", b"", "is empty"),
    "an unknown suffix": ("a.xyz", b"1 2 3", "ends with '.xyz', but one of .bmp, "),
    "text": ("a.png", b"<html></html>", "begins with the bytes 3c 68 74 6d, but PNG"),
    "a TIFF that is none": ("a.tif", b"<html></html>", "could not be decoded"),
    "netCDF-3": ("a.nc", b"CDF\x01" + bytes(60), "could not be decoded"),
    "an npy that is none": ("a.npy", b"<html></html>", "magic string"),
    "a bomb in PNG": ("a.png", png(60000, 60000, 8, 0, b""), "declares 3600000000 bytes"),
    "a bomb in BMP": (
        "a.bmp",
        encoded("BMP").replace(struct.pack("<II", 60, 40), struct.pack("<II", 60000, 60000)),
        "declares 3600000000 bytes",
    ),
    "a bomb in JPEG": (
        "a.jpg",
        encoded("JPEG").replace(struct.pack(">HH", 40, 60), struct.pack(">HH", 65500, 65500)),
        "declares 4290250000 bytes",
    ),
    "a bomb in TIFF": ("a.tif", tiff(60000, 60000, bytes(100)), "declares 7200000000 bytes"),
    "a tile that is a bomb": (
        "a.tif",
        tiff(40, 60, bytes(99), t322=60000, t323=60000, t324=8, t325=99),
        "declares 7200000000 bytes",
    ),
    "a strip that is a bomb": (
        "a.tif",
        tiff(40, 60, zlib.compress(bytes(1 << 24)), t259=8),
        "inflates beyond the 4800 bytes",
    ),
    "a bomb in npy": ("a.npy", npy(HUGE), "declares 160000000000 bytes"),
    "a bomb in npz": ("a.npz", zipped(npy(HUGE)), "declares 160000000000 bytes"),
    "zeros in npz": (
        "a.npz",
        zipped(saved(np.zeros((1 << 13, 1 << 11), "u1"))),
        "declares 16777216 bytes",
    ),
    "a bomb in PLY": (
        "a.ply",
        PLY.format("ascii", 10**11, XYZ).encode(),
        "declares 2400000000000 bytes",
    ),
    "a bomb in PCD": (
        "a.pcd",
        PCD.format(10**11, "binary").encode(),
        "declares 2400000000000 bytes",
    ),
    "a bomb in packed PCD": (
        "a.pcd",
        (
            PCD.format(2, "binary_compressed").encode()
            + struct.pack("<II", 299999, 24)
            + b"\x00a"
            + b"\xe0\xff\x00" * 99999
        ),
        "packs",
    ),
    "objects": ("a.npy", saved(OBJECTS), "holds values of type object"),
    "packed objects": ("a.npz", saved(OBJECTS, np.savez), "holds values of type object"),
    "records": ("a.npy", saved(STRUCTURED), "holds values of type"),
    "Greek names": ("a.npy", b"\x93NUMPY\x03\x00" + bytes(90), "version \\(3, 0\\)"),
    "text values": ("a.npy", saved(np.array([["a"]])), "holds values of type <U1"),
    "complex npy": ("a.npy", saved(GREY * 1j), "complex128, but real numbers"),
    "complex TIFF": ("a.tif", saved(GREY * 1j, tifffile.imwrite), "complex128, but real numbers"),
    "no values": ("a.npy", saved(np.zeros((0, 5))), "array of shape \\(0, 5\\)"),
    "transparency": ("a.png", encoded("PNG", RGBA), "is transparent in 2400 pixels"),
    "grey transparency": ("a.png", encoded("PNG", RGBA[..., :2]), "is transparent"),
    "transparent TIFF": (
        "a.tif",
        saved(RGBA, partial(tifffile.imwrite, photometric="rgb")),
        "is transparent",
    ),
    "a transparent grey": ("a.png", encoded("PNG", transparency=7), "is transparent in"),
    "16-bit transparency": ("a.png", png(1, 1, 16, 4, bytes(5)), "16-bit grey with alpha"),
    "a 16-bit transparent grey": (
        "a.png",
        png(1, 1, 16, 0, bytes(3), chunk(b"tRNS", bytes(2))),
        "I;16 with",
    ),
    "a 16-bit transparent colour": (
        "a.png",
        png(1, 1, 16, 2, bytes(7), chunk(b"tRNS", bytes(6))),
        "transparent colour",
    ),
    "CMYK": ("a.jpg", CMYK.getvalue(), "pixels of kind CMYK"),
    "a TIFF in a circle": ("a.tif", CIRCLE[:-4] + CIRCLE[4:8], "or pages in a circle"),
    "inverted TIFF": ("a.tif", tiff(60, 40, GREY.tobytes(), t262=0), "stores MINISWHITE"),
    "a TIFF without values": ("a.tif", tiff(60, 40, b""), "1 strips or tiles, but 0 lie whole"),
    "deep compressed colour": (
        "a.tif",
        tiff(20, 40, GREY.tobytes(), t259=5, t262=2, t277=3),
        "could not be|only",
    ),
    "a damaged PNG": ("a.png", DAMAGED, "could not be decoded"),
}


@pytest.fixture(scope="module", autouse=True)
def _compiled_loops():
    """Compile before memory is measured: a compiler's memory is not the file's."""
    unpack_lzf(b"\x00a", 1)


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_refused_with_its_name(tmp_path, case, recwarn):
    name, body, said = BAD[case]
    path = tmp_path / name
    path.write_bytes(body)
    tracemalloc.start()
    with pytest.raises(SensorError, match=said) as caught:
        read_array(path, max_bytes=1 << 23)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert str(caught.value).startswith(f"{path}: ")
    assert peak < 1 << 24
    assert not recwarn.list


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(SensorError, match=r"gone\.png: is not there"):
        read_array(tmp_path / "gone.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(SensorError, match=r"folder\.png: is no regular file"):
        read_array(tmp_path / "folder.png")


def test_a_key_is_refused_where_arrays_have_no_names(tmp_path):
    np.save(tmp_path / "a.npy", GREY)
    with pytest.raises(SensorError, match=r"a\.npy: has no named arrays, but key 'a'"):
        read_array(tmp_path / "a.npy", key="a")


def test_an_archive_that_numpy_did_not_write_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.npy", saved(GREY))
    with pytest.raises(SensorError, match="compresses by method 14, but NumPy stores or deflates"):
        read_array(tmp_path / "a.npz")


def test_a_compressed_tiff_is_neither_turned_nor_cut_to_its_first_page(tmp_path):
    image = Image.fromarray(GREY)
    image.save(tmp_path / "a.tif", compression="tiff_lzw", tiffinfo={274: 6})
    with pytest.raises(SensorError, match="asks to be turned"):
        read_array(tmp_path / "a.tif")
    image.save(tmp_path / "b.tif", compression="tiff_lzw", save_all=True, append_images=[image])
    with pytest.raises(SensorError, match="2 pages in compression 5"):
        read_array(tmp_path / "b.tif")
    other = Image.fromarray(GREY[:9])
    image.save(tmp_path / "c.tif", save_all=True, append_images=[other])
    with pytest.raises(SensorError, match="2 images of unlike or unknown kinds"):
        read_array(tmp_path / "c.tif")


def test_an_image_that_pillow_would_warn_of_is_read_in_silence(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    path = tmp_path / "a.png"
    path.write_bytes(encoded("PNG"))
    with pytest.raises(Image.DecompressionBombError):
        Image.open(path)
    assert read_array(path).shape == GREY.shape
    path.write_bytes(png(3, 2, 8, 0, bytes(8), extra=chunk(b"acTL", bytes(8))))
    with pytest.warns(UserWarning, match="Invalid APNG"):
        Image.open(path).close()
    assert read_array(path).shape == (2, 3)


def test_tifffile_s_log_stays_silent(tmp_path, caplog):
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(60, 40, GREY.tobytes())[:-4] + struct.pack("<I", 1 << 30))
    with tifffile.TiffFile(path) as lost:
        assert len(lost.pages) == 1
    assert "invalid page offset" in caplog.text
    caplog.clear()
    assert np.array_equal(read_array(path), GREY)
    assert not caplog.records
