"""Every adapter against planted counts."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image

from mmdefect.errors import CardError, SensorError
from mmdefect.sensors.depth import Depth
from mmdefect.sensors.infrared import Infrared
from mmdefect.sensors.points import Points
from mmdefect.sensors.rgb import Rgb
from mmdefect.sensors.xray import Xray

COUNTS = np.array([[0, 7000, 7500], [8000, 65535, 1]], np.uint16)
CLOUD = np.array(
    [[[1, 2, 900], [0, 0, 0], [-3, 4, 901]], [[5, np.nan, 902], [6, 7, -1], [8, np.inf, 9]]]
)


def write(path: Path, array: np.ndarray, how: str = "") -> Path:
    """Write an array in the format of the path's suffix."""
    suffix = path.suffix.lower()
    if how == "lzw":
        Image.fromarray(array).save(path, compression="tiff_lzw")
    elif suffix in (".tif", ".tiff"):
        photometric = "rgb" if array.shape[2:] == (3,) else "minisblack"
        tifffile.imwrite(path, array, compression=how or None, photometric=photometric)
    elif suffix == ".npy":
        np.save(path, array)
    elif suffix == ".npz":
        np.savez_compressed(path, frame=array)
    elif suffix in (".h5", ".hdf5", ".nc"):
        with h5py.File(path, "w") as file:
            file.create_dataset("entry/frame", data=array, compression="gzip")
    else:
        Image.fromarray(array).save(path)
    return path


GREY_FORMATS = [
    ("frame.png", ""),
    ("frame.PNG", ""),
    ("frame.tif", ""),
    ("frame.tiff", "zlib"),
    ("frame.tif", "lzw"),
    ("frame.npy", ""),
    ("frame.npz", ""),
    ("frame.h5", ""),
    ("frame.hdf5", ""),
    ("frame.nc", ""),
]


@pytest.mark.parametrize(("name", "how"), GREY_FORMATS)
def test_planted_temperatures_come_back_from_every_format(tmp_path, name, how):
    frame = Infrared(unit="K", scale=0.04).read(write(tmp_path / name, COUNTS, how))
    expected = np.where(COUNTS == 0, np.nan, COUNTS * 0.04)
    np.testing.assert_allclose(frame, expected, rtol=1e-6)
    assert frame.dims == ("y", "x")
    assert frame.dtype == np.float32
    assert frame.attrs == {"units": "K", "modality": "infrared"}


def test_degrees_celsius_become_kelvin_and_what_is_below_absolute_zero_a_hole(tmp_path):
    path = write(tmp_path / "a.npy", np.array([[20.0, -300.0, 0.0, np.inf]]))
    adapter = Infrared(unit="degC")
    np.testing.assert_allclose(adapter.read(path), [[293.15, np.nan, 273.15, np.nan]])
    assert adapter.unit_read == "K"


def test_a_zero_count_is_a_temperature_only_when_the_card_says_so(tmp_path):
    path = write(tmp_path / "a.png", COUNTS)
    read = {
        "dead": Infrared(unit="degC", scale=0.01).read(path),
        "kept": Infrared(unit="degC", scale=0.01, hole="none").read(path),
        "relative": Infrared().read(path),
        "named": Infrared(hole=65535).read(path),
    }
    assert np.isnan(read["dead"][0, 0])
    assert read["kept"][0, 0] == np.float32(273.15)
    assert np.array_equal(read["relative"], COUNTS)
    assert read["relative"].attrs["units"] == "relative"
    assert np.array_equal(np.isnan(read["named"]), COUNTS == 65535)


def test_eight_bit_relative_infrared_keeps_its_black(tmp_path):
    grey = np.array([[0, 255], [17, 0]], np.uint8)
    thrice = np.dstack([grey] * 3)
    for name, pixels in (("a.png", grey), ("b.png", thrice), ("c.bmp", grey)):
        assert np.array_equal(Infrared().read(write(tmp_path / name, pixels)), grey)


@pytest.mark.parametrize("adapter", [Infrared(), Xray(), Depth()])
def test_a_false_colour_picture_is_no_measurement(tmp_path, adapter):
    path = write(tmp_path / "a.png", np.arange(12, dtype=np.uint8).reshape(2, 2, 3))
    with pytest.raises(SensorError, match=r"a\.png.*3 channels that differ.*export the counts"):
        adapter.read(path)


RGB8 = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
RGB16 = np.random.default_rng(1).integers(0, 65536, (4, 5, 3), dtype=np.uint16)


@pytest.mark.parametrize(
    ("name", "pixels", "white"),
    [("a.png", RGB8, 255), ("a.bmp", RGB8, 255)]
    + [(name, RGB8, 255) for name in ("a.tif", "a.npy", "a.h5")]
    + [(name, RGB16, 65535) for name in ("a.tif", "a.npy", "a.h5")],
)
def test_planted_reflectance_comes_back_at_both_depths(tmp_path, name, pixels, white):
    frame = Rgb().read(write(tmp_path / name, pixels))
    np.testing.assert_allclose(frame.transpose("y", "x", "color"), pixels / white, rtol=1e-6)
    assert frame.dims == ("color", "y", "x")
    assert frame.color.values.tolist() == ["red", "green", "blue"]
    assert frame.attrs == {"units": "1", "modality": "rgb"}


def test_float_colours_must_be_reflectance(tmp_path):
    planar = write(tmp_path / "a.npy", (np.moveaxis(RGB8, -1, 0) / 255).astype(np.float32))
    assert np.allclose(Rgb().read(planar), np.moveaxis(RGB8, -1, 0) / 255)
    bright = write(tmp_path / "b.npy", RGB8.astype(float))
    with pytest.raises(SensorError, match=r"0 to 1 was promised; state scale"):
        Rgb().read(bright)
    assert Rgb(scale=1 / 255).read(bright).max() <= 1
    with pytest.raises(SensorError, match="int32"):
        Rgb().read(write(tmp_path / "c.npy", RGB8.astype(np.int32)))


def test_a_colour_pixel_is_blind_in_all_colours_or_in_none(tmp_path):
    pixels = np.full((2, 2, 3), 0.5)
    pixels[0, 0, 1] = np.nan
    pixels[1, 1] = 0
    pixels[0, 1, 0] = 0
    frame = Rgb(hole=0).read(write(tmp_path / "a.npy", pixels))
    assert np.array_equal(np.isnan(frame), [[[True, False], [False, True]]] * 3)


def test_grey_is_no_colour_unless_the_card_says_so(tmp_path):
    path = write(tmp_path / "a.png", RGB8[..., 0])
    with pytest.raises(SensorError, match=r"rgb promises three.*grey = true"):
        Rgb().read(path)
    frame = Rgb(grey=True).read(path)
    np.testing.assert_allclose(frame, np.stack([RGB8[..., 0]] * 3) / 255, rtol=1e-6)


def test_transmission_is_counts_between_dark_and_white(tmp_path):
    path = write(tmp_path / "a.tif", np.array([[100, 1100, 600], [50, 1200, 100]], np.uint16))
    adapter = Xray(white=1100, dark=100)
    frame = adapter.read(path)
    np.testing.assert_allclose(frame[0], [[0, 1, 0.5], [-0.05, 1.1, 0]], atol=1e-6)
    assert frame.dims == ("energy", "y", "x")
    assert frame.energy.values.tolist() == [0]
    assert (adapter.unit_read, frame.attrs["units"]) == ("1", "1")
    assert Xray().read(path).attrs["units"] == "relative"
    assert np.isnan(Xray(hole=50).read(path)[0, 1, 0])


@pytest.mark.parametrize("axis", [0, -1])
def test_several_energies_stand_first(tmp_path, axis):
    stack = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    frame = Xray(energies=2).read(write(tmp_path / "a.npy", np.moveaxis(stack, 0, axis)))
    assert np.array_equal(frame, stack)
    assert frame.energy.values.tolist() == [0, 1]


def test_energies_may_be_the_pages_of_a_tiff(tmp_path):
    stack = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)
    assert np.array_equal(Xray(energies=2).read(write(tmp_path / "a.tif", stack)), stack)


@pytest.mark.parametrize(("unit", "factor"), [("m", 1000), ("cm", 10), ("mm", 1), ("um", 0.001)])
def test_depth_is_in_millimetres_and_a_hole_is_no_distance(tmp_path, unit, factor):
    stored = np.array([[2.0, 0.0, -1.0], [np.inf, np.nan, 0.5]], np.float32)
    adapter = Depth(unit=unit, scale=0.5)
    frame = adapter.read(write(tmp_path / "a.npy", stored))
    expected = np.array([[2.0, np.nan, np.nan], [np.nan, np.nan, 0.5]]) * 0.5 * factor
    np.testing.assert_allclose(frame, expected, rtol=1e-6)
    assert adapter.unit_read == frame.attrs["units"] == "mm"
    assert Depth().unit_read == "relative"


def test_another_hole_lets_small_counts_be_distances(tmp_path):
    path = write(tmp_path / "a.tif", np.array([[-32768, -5, 0, 5]], np.int16))
    frame = Depth(unit="mm", offset=100, hole=-32768).read(path)
    np.testing.assert_array_equal(frame, [[np.nan, 95, 100, 105]])


@pytest.mark.parametrize("name", ["a.tif", "a.npy", "a.npz", "a.h5", "flat.npy"])
def test_a_planted_cloud_comes_back_in_millimetres(tmp_path, name):
    stored = CLOUD.reshape(-1, 3) if name == "flat.npy" else CLOUD
    path = write(tmp_path / name, stored.astype(np.float32))
    adapter = Points(unit="cm", shape=[2, 3])
    frame = adapter.read(path)
    seen = np.array([[True, False, True], [False, False, False]])
    np.testing.assert_allclose(
        frame, np.where(seen, np.moveaxis(CLOUD, -1, 0) * 10, np.nan), rtol=1e-6
    )
    assert frame.dims == ("axis", "y", "x")
    assert frame.axis.values.tolist() == ["x", "y", "z"]
    assert frame.attrs == {"units": "mm", "modality": "points"}
    assert adapter.unit_read == "mm"


def test_coordinates_may_stand_first(tmp_path):
    path = write(tmp_path / "a.npy", np.moveaxis(CLOUD[:, ::2], -1, 0))
    np.testing.assert_array_equal(Points().read(path)[:, 0], [[1, -3], [2, 4], [900, 901]])


def test_in_the_part_s_own_axes_negative_z_is_a_place(tmp_path):
    frame = Points(camera_frame=False).read(write(tmp_path / "a.npy", CLOUD))
    assert frame.sel(axis="z")[1, 1] == -1
    assert np.isnan(frame[:, 0, 1]).all()
    origin = Points(camera_frame=False, hole="none").read(tmp_path / "a.npy")
    assert (origin[:, 0, 1] == 0).all()


def test_a_cloud_is_read_row_by_row_and_no_other_number_of_points(tmp_path):
    header = "ply\nformat ascii 1.0\nelement vertex 6\n" + "".join(
        f"property float {axis}\n" for axis in "xyz"
    )
    rows = "\n".join(f"{x} {y} {z}" for x, y, z in CLOUD.reshape(-1, 3))
    path = tmp_path / "a.ply"
    path.write_text(f"{header}end_header\n{rows}\n")
    frame = Points(unit="m", shape=[2, 3]).read(path)
    np.testing.assert_array_equal(frame[:, 0, 2], [-3000, 4000, 901000])
    with pytest.raises(SensorError, match=r"a\.ply: lists 6 points, but \(2, 2\) rows"):
        Points(shape=[2, 2]).read(path)
    with pytest.raises(SensorError, match=r"lists 6 points, but no shape.*state the scanner's"):
        Points().read(path)
    with pytest.raises(SensorError, match=r"\(2, 3\) rows and columns, but \(3, 2\)"):
        Points(shape=[3, 2]).read(write(tmp_path / "a.npy", CLOUD))


@pytest.mark.parametrize(
    ("maker", "options", "said"),
    [
        (Infrared, {"unit": "F"}, "unit is 'F', but one of K, degC, relative"),
        (Infrared, {"unit": 1}, "unit is 1"),
        (Infrared, {"scale": 0}, "scale is 0, but a number other than 0"),
        (Infrared, {"scale": "1"}, "scale is '1', but a finite number"),
        (Infrared, {"offset": float("nan")}, "offset is nan, but a finite number"),
        (Infrared, {"hole": True}, "hole is True"),
        (Infrared, {"hole": float("nan")}, "hole is nan"),
        (Infrared, {"key": ""}, "key is ''"),
        (Rgb, {"unit": "K"}, "unit is 'K', but one of 1 was promised"),
        (Rgb, {"grey": 1}, "grey is 1, but true or false"),
        (Depth, {"unit": "inch"}, "one of m, cm, mm, um, relative"),
        (Depth, {"scale": -1}, "scale is -1, but a positive number"),
        (Points, {"shape": [2]}, r"shape is \[2\], but \[rows, columns\]"),
        (Points, {"shape": [2, 0]}, r"shape is \[2, 0\]"),
        (Points, {"camera_frame": "no"}, "camera_frame is 'no'"),
        (Xray, {"white": 10, "dark": 10}, "white is 10 and dark 10, but white was promised"),
        (Xray, {"white": 1, "dark": float("inf")}, "dark is inf"),
        (Xray, {"dark": 5}, "dark is 5 without white"),
        (Xray, {"white": 5, "scale": 2.0}, "white is 5 beside unit, scale or offset"),
        (Xray, {"white": 5, "unit": "relative"}, "white is 5 beside unit"),
        (Xray, {"energies": 0}, "energies is 0"),
    ],
)
def test_a_wrong_option_is_the_card_s_error(maker, options, said):
    with pytest.raises(CardError, match=said):
        maker(**options)


@pytest.mark.parametrize("maker", [Rgb, Infrared, Xray, Depth, Points])
def test_an_adapter_refuses_masks_and_files_of_other_kinds(tmp_path, maker):
    with pytest.raises(SensorError, match=r"a\.csv: ends with '\.csv', but one of .*\.npy"):
        maker().read(tmp_path / "a.csv")
    with pytest.raises(SensorError, match=r"a\.npy: holds true and false.*mask\?"):
        maker().read(write(tmp_path / "a.npy", np.ones((2, 2), bool)))
