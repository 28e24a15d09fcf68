"""Meshes of every format against planted ones, and files that lie."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdefect.errors import SensorError
from mmdefect.mesh_files import Mesh, read_mesh, write_mesh

CORNERS = np.array([[x, y, z] for x in (0, 2) for y in (0, 3) for z in (0, 5)], np.float64)
QUADS = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
TRIANGLES = np.array([[q[0], q[k], q[k + 1]] for q in QUADS for k in (1, 2)])


def stl(corners=CORNERS, triangles=TRIANGLES) -> bytes:
    body = b"".join(
        struct.pack("<12fH", 0, 0, 0, *corners[triangle].ravel(), 0) for triangle in triangles
    )
    return b"binary".ljust(80) + struct.pack("<I", len(triangles)) + body


def stl_text() -> bytes:
    lines = ["solid box"]
    for triangle in TRIANGLES:
        lines += ["facet normal 0 0 0", " outer loop"]
        lines += ["  vertex {} {} {}".format(*CORNERS[place]) for place in triangle]
        lines += [" endloop", "endfacet"]
    return "\n".join([*lines, "endsolid box", ""]).encode()


def obj(back: bool = False) -> bytes:
    lines = ["# a box", "o box", *("v {} {} {}".format(*corner) for corner in CORNERS), "vn 0 0 1"]
    step = -8 if back else 1
    lines += ["f " + " ".join(f"{place + step}//1" for place in quad) for quad in QUADS]
    return "\n".join(lines).encode()


def ply(order: str) -> bytes:
    encoding = {"<": "binary_little_endian", ">": "binary_big_endian", "": "ascii"}[order]
    head = f"ply\nformat {encoding} 1.0\nelement vertex 8\nproperty double x\nproperty double y\n"
    head += "property double z\nelement face 6\nproperty uchar red\n"
    head += "property list uchar int vertex_indices\nend_header\n"
    if order:
        body = b"".join(struct.pack(f"{order}3d", *corner) for corner in CORNERS)
        body += b"".join(struct.pack(f"{order}BB4i", 7, 4, *quad) for quad in QUADS)
    else:
        body = "".join("{} {} {}\n".format(*corner) for corner in CORNERS).encode()
        body += "".join("7 4 {} {} {} {}\n".format(*quad) for quad in QUADS).encode()
    return head.encode() + body


FILES = {
    "binary.stl": stl(),
    "text.stl": stl_text(),
    "forward.obj": obj(),
    "back.obj": obj(back=True),
    "little.ply": ply("<"),
    "big.ply": ply(">"),
    "text.ply": ply(""),
}


def surface(mesh: Mesh) -> set[tuple]:
    """Give triangles by their places, begun at the least corner."""
    found = set()
    for corners in mesh.corners[mesh.triangles].tolist():
        places = [tuple(corner) for corner in corners]
        first = places.index(min(places))
        found.add(tuple(places[first:] + places[:first]))
    return found


WANTED = surface(Mesh(CORNERS.astype(np.float32), TRIANGLES.astype(np.int32)))


@pytest.mark.parametrize("name", FILES)
def test_a_box_comes_back_from_every_format_and_from_a_model(tmp_path, name):
    (tmp_path / name).write_bytes(FILES[name])
    mesh = read_mesh(tmp_path / name)
    assert mesh.corners.shape == (8, 3)
    assert surface(mesh) == WANTED
    (tmp_path / "a.safetensors").write_bytes(write_mesh(mesh))
    again = read_mesh(tmp_path / "a.safetensors")
    assert again.digest == mesh.digest
    assert surface(again) == WANTED


def test_corners_in_one_place_become_one_and_triangles_without_area_none(tmp_path):
    corners = np.vstack([CORNERS, CORNERS[:1]])
    triangles = np.vstack([TRIANGLES, [[0, 8, 1]]])
    triangles[0, triangles[0] == 0] = 8
    (tmp_path / "a.stl").write_bytes(stl(corners, triangles))
    mesh = read_mesh(tmp_path / "a.stl")
    assert (len(mesh.corners), len(mesh.triangles)) == (8, 12)


BAD = {
    "nothing": ("a.stl", b"", "takes|take 84 bytes"),
    "a declared giant": ("a.stl", stl()[:80] + struct.pack("<I", 10**9) + bytes(50), "10{9} tri"),
    "cut off": ("a.stl", stl()[:-7], "was cut off"),
    "text cut off": ("a.stl", stl_text()[:-40], "endsolid"),
    "no faces": ("a.ply", ply("<").replace(b"vertex_indices", b"something_else"), "holds no faces"),
    "faces that lie": ("a.ply", ply("<").replace(b"face 6", b"face 600"), "declares 1392 bytes"),
    "a corner that is not there": ("a.obj", obj() + b"\nf 1 2 9", "corners 0 to 8 of 8"),
    "a corner before the first": ("a.obj", obj() + b"\nf 1 2 -9", "corners -1 to 7 of 8"),
    "a face of two": ("a.obj", obj() + b"\nf 1 2", "a face of 2 corners"),
    "words": ("a.obj", obj() + b"\nf one two three", "in line 18"),
    "corners of two numbers": ("a.obj", b"v 1 2\nv 1 2\nv 1 2\nf 1 2 3", "not three numbers"),
    "no place": ("a.obj", obj().replace(b"v 2.0 3.0 5.0", b"v nan 3 5"), "no finite place"),
    "no area": ("a.obj", b"v 1 2 3\nv 1 2 3\nv 1 2 3\nf 1 2 3", "no triangle with an area"),
    "no triangle": ("a.obj", b"v 1 2 3", "holds no triangle"),
    "no mesh": ("a.safetensors", b"\x08\0\0\0\0\0\0\0{}      ", "holds nothing"),
    "another format": ("a.step", b"ISO-10303-21;", "ends with '.step'"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_mesh_is_refused_with_its_name(tmp_path, case):
    name, body, said = BAD[case]
    (tmp_path / name).write_bytes(body)
    with pytest.raises(SensorError, match=said) as caught:
        read_mesh(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}: ")


def test_a_mesh_that_is_missing_or_too_large_is_refused(tmp_path):
    with pytest.raises(SensorError, match=r"gone\.stl: is no file"):
        read_mesh(tmp_path / "gone.stl")
    (tmp_path / "a.stl").write_bytes(stl())
    with pytest.raises(SensorError, match="has 684 bytes, but at most 600"):
        read_mesh(tmp_path / "a.stl", max_bytes=600)


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_mesh_is_a_mesh_or_a_sensor_error(tmp_path, name):
    path = tmp_path / name
    whole = FILES[name]

    @given(
        st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 7)), max_size=5),
        st.floats(0, 1),
    )
    @settings(max_examples=60, deadline=None, derandomize=True, database=None)
    def damaged(flips, kept):
        body = bytearray(whole)
        for where, bit in flips:
            body[int(where * len(body))] ^= 1 << bit
        path.write_bytes(body[: int(kept * len(body))] if kept < 0.5 else body)
        try:
            mesh = read_mesh(path)
        except SensorError:
            return
        assert np.isfinite(mesh.corners).all()
        assert 0 <= mesh.triangles.min() <= mesh.triangles.max() < len(mesh.corners)

    damaged()
