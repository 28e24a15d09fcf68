"""Clouds as scanners and libraries write them: rows, grids with holes, other fields, packing."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdefect.errors import SensorError
from mmdefect.frames import read_array
from mmdefect.lzf import RATIO, unpack_lzf
from mmdefect.sensors.points import Points

XYZ = "property float x\nproperty float y\nproperty float z\n"
CLOUD = np.arange(18.0).reshape(2, 3, 3) + 100
BYTES = st.binary(max_size=400)


def packed_lzf(raw: bytes) -> bytes:
    """Pack greedily: repeats of 3 to 264 bytes from up to 8192 bytes back, the rest as it is."""
    out, plain, seen, place = bytearray(), bytearray(), {}, 0

    def put_plain() -> None:
        for start in range(0, len(plain), 32):
            run = plain[start : start + 32]
            out.extend(bytes([len(run) - 1]) + run)
        plain.clear()

    while place < len(raw):
        before = seen.get(raw[place : place + 3], -10000)
        seen[raw[place : place + 3]] = place
        length = 0
        while place - before <= 8192 and length < 264 and place + length < len(raw):
            if raw[before + length] != raw[place + length]:
                break
            length += 1
        if length < 3:
            plain.append(raw[place])
            place += 1
            continue
        put_plain()
        back, code = place - before - 1, length - 2
        head = bytes([min(code, 7) << 5 | back >> 8])
        out.extend(head + (bytes([code - 7]) if code >= 7 else b"") + bytes([back & 255]))
        place += length
    put_plain()
    return bytes(out)


@given(BYTES, st.integers(1, 40), st.integers(0, 3))
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
def test_what_was_packed_comes_back_byte_by_byte(raw, times, more):
    raw = raw * times + raw[:more]
    assert unpack_lzf(packed_lzf(raw), len(raw)) == raw


@given(BYTES, st.integers(0, 4000))
@settings(max_examples=200, deadline=None, derandomize=True, database=None)
def test_any_bytes_unpack_to_what_was_promised_or_to_a_sensor_error(packed, promised):
    try:
        unpacked = unpack_lzf(packed, promised)
    except SensorError:
        return
    assert len(unpacked) == promised
    assert set(unpacked) <= set(packed)


@pytest.mark.parametrize(
    ("packed", "promised"),
    [
        (b"\x02ab", 3),  # ends within its plain bytes
        (b"\x00a\x20", 4),  # ends within a repeat
        (b"\x00a\xe0", 4),  # ends before the long repeat's length
        (b"\x00a\x20\x01", 4),  # repeats what was never there
        (b"\x00a\x20\x00", 3),  # unpacks to four
        (b"\x00a", RATIO * 2 + 1),  # cannot hold so much
    ],
)
def test_a_stream_that_lies_is_refused(packed, promised):
    with pytest.raises(SensorError, match=r"packs .* bytes"):
        unpack_lzf(packed, promised)


def write_pcd(path, fields, encoding, height=2):
    """Write a structured array as PCD."""
    kinds = {"f": "F", "u": "U", "i": "I"}
    types = [fields.dtype[name] for name in fields.dtype.names]
    header = "# .PCD v0.7\nVERSION 0.7\nFIELDS " + " ".join(fields.dtype.names)
    header += "\nSIZE " + " ".join(str(t.base.itemsize) for t in types)
    header += "\nTYPE " + " ".join(kinds[t.base.kind] for t in types)
    header += "\nCOUNT " + " ".join(str(max(int(np.prod(t.shape)), 1)) for t in types)
    header += f"\nWIDTH {fields.size // height}\nHEIGHT {height}\n"
    header += f"VIEWPOINT 0 0 0 1 0 0 0\nPOINTS {fields.size}\nDATA {encoding}\n"
    body = fields.tobytes()
    if encoding == "binary_compressed":
        columns = b"".join(np.ascontiguousarray(fields[n]).tobytes() for n in fields.dtype.names)
        packed = packed_lzf(columns)
        body = struct.pack("<II", len(packed), len(columns)) + packed
    if encoding == "ascii":
        lines = (" ".join(str(v) for f in row for v in np.ravel(f)) for row in fields.tolist())
        body = "\n".join(lines).encode()
    path.write_bytes(header.encode() + body)


@pytest.mark.parametrize("encoding", ["ascii", "binary", "binary_compressed"])
def test_an_organised_pcd_keeps_rows_and_holes_past_a_scanner_s_other_fields(tmp_path, encoding):
    kinds = [("nx", "<f4"), ("x", "<f4"), ("y", "<f8"), ("rgb", "u1", (3,)), ("z", "<f4")]
    fields = np.zeros(6, kinds)
    for axis, name in enumerate("xyz"):
        fields[name] = CLOUD[..., axis].ravel()
    fields[4] = 0
    write_pcd(tmp_path / "a.pcd", fields, encoding)
    wanted = CLOUD.copy()
    wanted[1, 1] = np.nan
    frame = Points(unit="mm").read(tmp_path / "a.pcd")
    np.testing.assert_array_equal(np.moveaxis(frame.values, 0, -1), wanted)


def ply(order, header, vertices, rest=b""):
    """Put a PLY file together."""
    encoding = {"<": "binary_little_endian", ">": "binary_big_endian", "": "ascii"}[order]
    return f"ply\nformat {encoding} 1.0\n{header}end_header\n".encode() + vertices + rest


PHOTONEO = (
    "element vertex 6\n" + XYZ + "property float nx\nproperty uchar red\n"
    "element camera 1\nproperty float view_px\n"
    "element phoxi_frame_params 1\nproperty uint32 frame_width\nproperty uint32 frame_height\n"
)


@pytest.mark.parametrize("order", ["<", ">", ""])
@pytest.mark.parametrize("told", ["note", "element"])
def test_a_photoneo_ply_keeps_its_rows_and_its_zeros_are_holes(tmp_path, order, told):
    kinds = [(n, f"{order or '<'}f4") for n in ("x", "y", "z", "nx")] + [("red", "u1")]
    stored = np.zeros(6, kinds)
    for axis, name in enumerate("xyz"):
        stored[name] = CLOUD[..., axis].ravel()
    stored[2] = 0
    note = "obj_info Photoneo PLY PointCloud (Width = 3; Height = 2; Ordered)\n"
    frame = struct.pack(f"{order or '<'}fII", 1.5, 3 if told == "element" else 7, 2)
    vertices = stored.tobytes()
    if not order:
        vertices = "".join(" ".join(map(str, row)) + "\n" for row in stored.tolist()).encode()
        frame = b"1.5\n3 2\n" if told == "element" else b"1.5\n7 2\n"
    header = (note if told == "note" else "") + PHOTONEO
    (tmp_path / "a.ply").write_bytes(ply(order, header, vertices, frame))
    read = Points(unit="mm").read(tmp_path / "a.ply")
    wanted = CLOUD.copy()
    wanted[0, 2] = np.nan
    np.testing.assert_array_equal(np.moveaxis(read.values, 0, -1), wanted)


@pytest.mark.parametrize("order", ["<", ">", ""])
def test_a_range_grid_puts_points_where_they_were_seen(tmp_path, order):
    points = np.array([[1, 2, 30], [4, 5, 60], [7, 8, 90]], f"{order or '<'}f4")
    header = (
        "obj_info num_cols 2\nobj_info num_rows 3\nelement vertex 3\n" + XYZ + "element range_grid "
        "6\nproperty list uchar int vertex_indices\n"
    )
    cells = [None, 0, None, 2, 1, None]
    grid = b"".join(
        b"\0" if cell is None else b"\1" + struct.pack(f"{order or '<'}i", cell) for cell in cells
    )
    vertices = points.tobytes()
    if not order:
        vertices = "".join(" ".join(map(str, row)) + "\n" for row in points.tolist()).encode()
        grid = "".join("0\n" if cell is None else f"1 {cell}\n" for cell in cells).encode()
    (tmp_path / "a.ply").write_bytes(ply(order, header, vertices, grid))
    wanted = np.full((6, 3), np.nan)
    wanted[[1, 3, 4]] = points[[0, 2, 1]]
    np.testing.assert_array_equal(read_array(tmp_path / "a.ply"), wanted.reshape(3, 2, 3))


BAD_GRIDS = {
    "a point that is not there": (b"\1\x09\0\0\0" + b"\0" * 5, "1 points in its range grid"),
    "too few places": (b"\0" * 5, "declares 18 bytes of points, but holds 17"),
    "two points in one place": (b"\2" + b"\0" * 8 + b"\0" * 5, "one point each"),
}


@pytest.mark.parametrize("case", BAD_GRIDS)
def test_a_range_grid_that_lies_is_refused(tmp_path, case):
    grid, said = BAD_GRIDS[case]
    header = (
        "obj_info num_cols 2\nobj_info num_rows 3\nelement vertex 1\n" + XYZ + "element range_grid "
        "6\nproperty list uchar int vertex_indices\n"
    )
    (tmp_path / "a.ply").write_bytes(ply("<", header, bytes(12), grid))
    with pytest.raises(SensorError, match=said):
        read_array(tmp_path / "a.ply")


def test_vertices_behind_other_elements_are_found(tmp_path):
    header = "element view 1\nproperty list uchar short a\nelement vertex 2\n" + XYZ
    points = np.arange(6, dtype=">f4").reshape(2, 3)
    body = ply(">", header, b"\2" + bytes(4), points.tobytes())
    (tmp_path / "a.ply").write_bytes(body)
    np.testing.assert_array_equal(read_array(tmp_path / "a.ply"), points)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("element face 1\nproperty list uchar int vertex_indices\n", "holds face, but vertices"),
        ("element vertex 1\nproperty float x\nproperty text y\n", "the property 'text y'"),
        ("element vertex 1\nproperty list uchar int x\n", "x, y and z were promised"),
        ("element vertex -1\n" + XYZ, "says 'element vertex -1'"),
        ("element vertex 99\n" + XYZ, "declares 1188 bytes of points, but holds 12"),
    ],
)
def test_a_ply_that_is_no_cloud_says_why(tmp_path, header, said):
    (tmp_path / "a.ply").write_bytes(ply("<", header, bytes(12)))
    with pytest.raises(SensorError, match=said):
        read_array(tmp_path / "a.ply")
