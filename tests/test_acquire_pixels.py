"""Bytes of cameras against counts that were planted, and clouds against their formula."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmdefect.acquire.pixels import FORMATS, color_of, counts_of, demosaiced, pixel_format
from mmdefect.acquire.scan3d import Axis, Scan3d, points_of, read_scan3d
from mmdefect.errors import AcquisitionError


def packed_by_hand(counts: np.ndarray, name: str) -> bytes:
    """Write counts bit by bit, as the format's description says: slow and obvious."""
    known = FORMATS[name]
    flat = [int(count) for count in counts.ravel()]
    if known.way == "lsb":
        stream = sum(count << (place * known.depth) for place, count in enumerate(flat))
        return stream.to_bytes(-(-len(flat) * known.depth // 8), "little")
    if known.way == "gige":
        low = known.depth - 8
        out = bytearray()
        for place in range(0, len(flat), 2):
            pair = [*flat[place : place + 2], 0][:2]
            middle = (pair[0] % (1 << low)) | (pair[1] % (1 << low)) << 4
            out += bytes([pair[0] >> low, middle, pair[1] >> low])
        return bytes(out[: -(-len(flat) * 3 // 2)])
    return counts.astype("<" + known.dtype).tobytes()


@given(
    st.sampled_from(sorted(FORMATS)), st.integers(1, 5), st.integers(1, 7), st.integers(0, 2**32)
)
def test_every_format_gives_the_counts_that_were_packed(name, rows, columns, seed):
    known = FORMATS[name]
    random = np.random.default_rng(seed)
    shape = (rows, columns, known.channels) if known.channels > 1 else (rows, columns)
    if known.dtype == "f4":
        counts = random.normal(size=shape).astype("f4")
    else:
        counts = random.integers(0, 1 << known.depth, shape).astype(known.dtype)
    stored = np.moveaxis(counts, -1, 0) if known.planar else counts
    body = packed_by_hand(np.ascontiguousarray(stored), name)
    found = counts_of(body + b"\xaa" * 9, name, (rows, columns))
    assert found.dtype == counts.dtype
    assert np.array_equal(found, counts)
    assert np.array_equal(counts_of(body, known.code, (rows, columns)), counts)
    with pytest.raises(AcquisitionError, match=f"take {len(body)} bytes, but {len(body) - 1} came"):
        counts_of(body[:-1], name, (rows, columns))


def test_codes_are_those_of_the_naming_convention():
    """Harvesters carries the convention's own list."""
    listed = pytest.importorskip("harvesters.util._pfnc").symbolics
    assert {known.name: listed[known.code] for known in FORMATS.values()} == {
        name: name for name in FORMATS
    }


def test_rows_with_padding_and_counts_that_begin_with_the_high_byte():
    counts = np.arange(6, dtype="u2").reshape(2, 3) * 1000
    body = b"".join(row.astype(">u2").tobytes() + b"\xff\xff" for row in counts)
    assert np.array_equal(counts_of(body, "Mono16", (2, 3), 2, big_endian=True), counts)
    assert np.array_equal(counts_of(body[:-2], "Mono16", (2, 3), 2, big_endian=True), counts)
    with pytest.raises(AcquisitionError, match="but 13 came"):
        counts_of(body[:-3], "Mono16", (2, 3), 2)
    with pytest.raises(AcquisitionError, match="rows of Mono12p with padding are not read"):
        counts_of(body, "Mono12p", (2, 3), 2)
    with pytest.raises(AcquisitionError, match="0x3 pixels"):
        counts_of(body, "Mono16", (0, 3))
    with pytest.raises(AcquisitionError, match="pixel format 0x01080099, which is not read"):
        pixel_format(0x01080099)


@pytest.mark.parametrize("tile", ["RG", "GR", "GB", "BG"])
def test_a_mosaic_of_planes_of_one_colour_gives_them_back_to_the_edge(tile):
    planes = {"R": 1000, "G": 20000, "B": 65535}
    rest = {"RG": "GB", "GR": "BG", "GB": "RG", "BG": "GR"}[tile]
    mosaic = np.array([[planes[(tile, rest)[y % 2][x % 2]] for x in range(7)] for y in range(5)])
    found = demosaiced(mosaic.astype("u2"), tile)
    assert found.dtype == np.uint16
    assert (found == np.array([1000, 20000, 65535])).all()
    assert np.array_equal(color_of(mosaic.astype("u2"), f"Bayer{tile}16"), found)


def test_a_mosaic_is_made_into_colour_as_opencv_does_it():
    """OpenCV names a tile by its second row and column; inside, both take the nearest mean."""
    cv2 = pytest.importorskip("cv2")
    mosaic = np.random.default_rng(1).integers(0, 65536, (40, 50)).astype("u2")
    ours = demosaiced(mosaic, "RG").astype(int)
    theirs = cv2.cvtColor(mosaic, cv2.COLOR_BayerBG2RGB).astype(int)
    assert np.abs(ours - theirs)[2:-2, 2:-2].max() <= 1


def test_colour_is_red_green_blue_whatever_its_order():
    image = np.arange(24, dtype="u1").reshape(2, 3, 4)
    assert np.array_equal(color_of(image, "RGBa8"), image[..., :3])
    assert np.array_equal(color_of(image, "BGRa8"), image[..., [2, 1, 0]])
    assert np.array_equal(color_of(image[..., 0], "Mono8"), image[..., 0])


# coordinates


class Nodes:
    """A camera's nodes as a table; some hang on a selector, as the convention has it."""

    def __init__(self, plain: dict, by_axis: dict, pose: dict | None = None) -> None:
        self._plain = {name: SimpleNamespace(value=value) for name, value in plain.items()}
        self._by_axis, self._pose = by_axis, pose
        self._axis = SimpleNamespace(value="CoordinateA")
        self._of_pose = SimpleNamespace(value="RotationX")

    def __call__(self, name: str):
        name = name.removeprefix("Scan3d")
        if name == "CoordinateSelector":
            return self._axis
        if name == "CoordinateReferenceSelector":
            return self._of_pose if self._pose else None
        if name == "CoordinateReferenceValue":
            return SimpleNamespace(value=self._pose[self._of_pose.value]) if self._pose else None
        if name in self._by_axis:
            return SimpleNamespace(value=self._by_axis[name][self._axis.value[-1]])
        return self._plain.get(name)


POSE = {
    "RotationX": 1.0,
    "RotationY": 180.0,
    "RotationZ": -3.0,
    "TranslationX": 4.0,
    "TranslationY": 5.0,
    "TranslationZ": 600.0,
}
PLAIN = {
    "DistanceUnit": "Inch",
    "CoordinateSystem": "Cartesian",
    "CoordinateSystemReference": "Transformed",
    "OutputMode": "CalibratedABC_Grid",
}
BY_AXIS = {
    "CoordinateScale": {"A": 0.5, "B": 0.25, "C": 0.125},
    "CoordinateOffset": {"A": -10.0, "B": 20.0, "C": 30.0},
    "InvalidDataFlag": {"A": False, "B": False, "C": True},
    "InvalidDataValue": {"A": 1.0, "B": 1.0, "C": 65535.0},
}


def test_scale_offset_holes_unit_and_axes_are_the_cameras():
    told = read_scan3d(Nodes(PLAIN, BY_AXIS, POSE))
    assert told == Scan3d(
        "Inch",
        "Cartesian",
        "Transformed",
        "CalibratedABC_Grid",
        (Axis(0.5, -10.0), Axis(0.25, 20.0), Axis(0.125, 30.0, 65535.0)),
        POSE,
    )
    counts = np.random.default_rng(2).integers(0, 65536, (3, 8, 9)).astype("u2")
    counts[2, 3, 4] = counts[2, 0, 0] = counts[0, 5, 5] = 65535
    found = points_of(list(counts), told)
    assert found.dtype == np.float32
    holes = counts[2] == 65535
    assert np.isnan(found[holes]).all()
    assert not np.isnan(found[5, 5]).any()  # 65535 marks a hole in C alone
    for place, axis in enumerate("ABC"):
        scale, offset = BY_AXIS["CoordinateScale"][axis], BY_AXIS["CoordinateOffset"][axis]
        promised = ((counts[place] * scale + offset) * 25.4).astype("f4")
        assert np.array_equal(found[..., place][~holes], promised[~holes])


def test_holes_of_floats_are_those_of_their_own_precision():
    meaning = Scan3d("Millimeter", axes=(Axis(), Axis(), Axis(hole=-9999.9)))
    planes = [np.zeros((1, 4), "f4") for _ in range(3)]
    planes[2][0] = [-9999.9, np.nan, np.inf, 7]
    planes[0][0] = [0, 0, 0, np.nan]
    assert np.isnan(points_of(planes, meaning)).all()
    planes[0][0] = 0
    assert np.array_equal(points_of(planes, meaning)[0, 3], [0, 0, 7])


@pytest.mark.parametrize(
    ("plain", "by_axis", "said"),
    [
        ({"DistanceUnit": "Pixel"}, {}, "Scan3dDistanceUnit is Pixel"),
        ({}, {}, "Scan3dDistanceUnit is not told"),
        ({"CoordinateSystem": "Spherical"}, {}, "Scan3dCoordinateSystem is Spherical"),
        ({}, {"InvalidDataValue": None}, "Scan3dInvalidDataValue cannot be read"),
    ],
)
def test_what_is_not_understood_is_refused_by_its_name(plain, by_axis, said):
    unit = {"DistanceUnit": "Millimeter"} if "not told" not in said else {}
    axes = {name: told for name, told in (BY_AXIS | by_axis).items() if told}
    with pytest.raises(AcquisitionError, match=said):
        read_scan3d(Nodes(unit | plain, axes))


def test_coordinates_that_are_not_three_of_one_size_are_refused():
    with pytest.raises(AcquisitionError, match="three of one size"):
        points_of([np.zeros((2, 2))] * 2, Scan3d("Millimeter"))
