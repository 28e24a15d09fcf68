"""Recordings and captures of makers: ROS 2 bags, Zivid, scans with their own flats, depth maps."""

import io
import sqlite3
from contextlib import closing

import h5py
import numpy as np
import pytest
import tifffile
from bags import camera, image, packed, write_bag
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mmdefect.bags import _Message
from mmdefect.dataset import Dataset
from mmdefect.errors import CardError, SensorError
from mmdefect.frames import read_array
from mmdefect.sensors.depth import Depth
from mmdefect.sensors.points import Points
from mmdefect.sensors.rgb import Rgb
from mmdefect.sensors.xray import Xray

DEPTH = np.random.default_rng(0).integers(400, 900, (3, 6, 8)).astype(np.uint16)
DEPTH[:, 2, 3] = 0
COLOUR = np.random.default_rng(1).integers(0, 256, (6, 8, 3)).astype(np.uint8)
FX, FY, CX, CY = 70.5, 71.25, 3.5, 2.25


def lifted(depth: np.ndarray) -> np.ndarray:
    """Place pixels one by one."""
    wanted = np.full((3, *depth.shape), np.nan)
    for y, x in zip(*np.nonzero(depth), strict=True):
        z = float(depth[y, x])
        wanted[:, y, x] = (x - CX) / FX * z, (y - CY) / FY * z, z
    return wanted


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def bag(tmp_path):
    """Record depth, raw and packed, and colour."""
    depth = [image(frame, "16UC1", spare=4) for frame in DEPTH]
    squeezed = [packed("16UC1; compressedDepth png", bytes(12) + png(frame)) for frame in DEPTH]
    cameras = [camera((6, 8), FX, FY, CX, CY, 0, 0, 0, 0, 0)]
    return write_bag(
        tmp_path / "a.db3",
        {
            "/arm/depth/image": ("Image", depth),
            "/arm/depth/camera_info": ("CameraInfo", cameras),
            "/arm/depth/packed": ("CompressedImage", squeezed),
            "/arm/backwards": ("Image", [image(frame, "mono16", ">") for frame in DEPTH]),
            "/arm/colour": ("Image", [image(COLOUR[..., ::-1], "bgr8")]),
            "/arm/notes": ("std_msgs/msg/String", [b"\0\1\0\0"]),
        },
    )


@pytest.mark.parametrize("topic", ["/arm/depth/image", "/arm/depth/packed"])
def test_depth_and_its_camera_in_a_bag_become_points(bag, topic):
    for frame in range(3):
        depth = Depth(unit="mm", key=topic, frame=frame).read(bag)
        np.testing.assert_array_equal(depth, np.where(DEPTH[frame] > 0, DEPTH[frame], np.nan))
        points = Points(unit="mm", key=topic, frame=frame).read(bag)
        np.testing.assert_allclose(points, lifted(DEPTH[frame]), rtol=1e-6)


def test_messages_count_by_time_in_either_byte_order_and_colours_in_theirs(bag):
    np.testing.assert_array_equal(read_array(bag, key="/arm/backwards", frame=0), DEPTH[2])
    read = Rgb(key="/arm/colour").read(bag)
    np.testing.assert_allclose(np.moveaxis(read.values, 0, -1), COLOUR / 255, rtol=1e-6)


REFUSED = {
    "no topic named": ({}, r"holds 4 arrays \(/arm/backwards, /arm/colour"),
    "a topic of notes": ({"key": "/arm/notes"}, "holds no array named '/arm/notes'"),
    "no frame named": ({"key": "/arm/depth/image"}, "holds 3 frames of '/arm/depth/image'"),
    "a frame too many": ({"key": "/arm/depth/image", "frame": 3}, "but frame 3 was asked for"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_bag_does_not_hold_is_refused(bag, case):
    asked, said = REFUSED[case]
    with pytest.raises(SensorError, match=said):
        read_array(bag, **asked)


BAD_MESSAGES = {
    "another encoding": (image(DEPTH[0], "bayer_rggb16"), "encoding 'bayer_rggb16'"),
    "rows that are not there": (image(DEPTH[0], "16UC1")[:-20], "it was cut off"),
    "rows too short": (image(DEPTH[0].view(np.uint8), "32FC1"), "holds 96 bytes; the header"),
    "no CDR": (b"\7\7\7\7", "begins with 07 07 07 07"),
    "nothing": (b"", "begins with"),
}


@pytest.mark.parametrize("case", BAD_MESSAGES)
def test_a_message_that_lies_is_refused(tmp_path, case):
    body, said = BAD_MESSAGES[case]
    path = write_bag(tmp_path / "a.db3", {"/depth": ("Image", [body])})
    with pytest.raises(SensorError, match=said):
        read_array(path)


def test_a_camera_that_does_not_fit_is_refused(tmp_path):
    depth = ("Image", [image(DEPTH[0], "16UC1")])
    cases = {
        "no camera_info beside": {},
        r"intrinsics of \(6, 9\)": {"/camera_info": ("CameraInfo", [camera((6, 9), 1, 1, 0, 0)])},
        "a lens that bends": {"/camera_info": ("CameraInfo", [camera((6, 8), 1, 1, 0, 0, 0.1)])},
        "are no camera's": {"/camera_info": ("CameraInfo", [camera((6, 8), 0, 1, 0, 0)])},
    }
    for place, (said, cameras) in enumerate(cases.items()):
        path = write_bag(tmp_path / f"{place}.db3", {"/image": depth, **cameras})
        with pytest.raises(SensorError, match=said):
            Points(unit="mm").read(path)
        stated = Points(unit="mm", fx=FX, fy=FY, cx=CX, cy=CY).read(path)
        np.testing.assert_allclose(stated, lifted(DEPTH[0]), rtol=1e-6)


def test_a_database_that_is_no_bag_is_refused(tmp_path):
    with closing(sqlite3.connect(tmp_path / "a.db3")) as other:
        other.execute("CREATE TABLE people(name TEXT)")
        other.execute("CREATE VIEW messages AS SELECT 1 AS id, 1 AS topic_id, x'00' AS data")
        other.commit()
    with pytest.raises(SensorError, match="is a database of people, but a ROS 2 bag"):
        read_array(tmp_path / "a.db3")


@given(st.binary(max_size=80))
@settings(max_examples=200, deadline=None, derandomize=True, database=None)
def test_any_message_is_read_or_refused(body):
    try:
        message = _Message(body)
        message.header()
        message.numbers("d", message.number("I"))
    except (SensorError, UnicodeDecodeError):
        return
    assert len(body) >= 20


# ---------------------------------------------------------------- depth maps and Zivid


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.npy"])
def test_a_depth_map_becomes_points_by_the_camera_of_the_card(tmp_path, name):
    save = {"a.tif": tifffile.imwrite, "a.npy": np.save}.get(name)
    if save is None:
        Image.fromarray(DEPTH[1]).save(tmp_path / name)
    else:
        save(tmp_path / name, DEPTH[1])
    read = Points(unit="m", scale=0.001, fx=FX, fy=FY, cx=CX, cy=CY).read(tmp_path / name)
    np.testing.assert_allclose(read, lifted(DEPTH[1]), rtol=1e-6)
    assert read.attrs["units"] == "mm"
    with pytest.raises(SensorError, match="for a depth map state its camera, fx, fy, cx and cy"):
        Points(unit="mm").read(tmp_path / name)


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ({"fx": 70}, "fy, cx, cy is missing"),
        ({"fx": 0, "fy": 70, "cx": 1, "cy": 1}, "fx is 0 and fy 70"),
        ({"fx": "70", "fy": 70, "cx": 1, "cy": 1}, "fx is '70'"),
    ],
)
def test_half_a_camera_is_refused(stated, said):
    with pytest.raises(CardError, match=said):
        Points(**stated)


def write_zdf(path, alpha=255):
    """Write what a Zivid capture holds, as its readers describe it."""
    cloud = lifted(DEPTH[0]).transpose(1, 2, 0).astype(np.float32)
    with h5py.File(path, "w") as file:
        file["data/pointcloud"] = cloud
        file["data/rgba_image"] = np.dstack([COLOUR, np.full((6, 8), alpha, np.uint8)])
        file["data/snr"] = np.ones((6, 8), np.float32)
    return cloud


def test_a_zivid_capture_gives_points_colours_and_by_key_the_rest(tmp_path):
    cloud = write_zdf(tmp_path / "a.zdf")
    points = Points(unit="mm").read(tmp_path / "a.zdf")
    np.testing.assert_array_equal(points.values, np.moveaxis(cloud, -1, 0))
    colours = Rgb().read(tmp_path / "a.zdf")
    np.testing.assert_allclose(np.moveaxis(colours.values, 0, -1), COLOUR / 255, rtol=1e-6)
    assert (read_array(tmp_path / "a.zdf", key="data/snr") == 1).all()
    write_zdf(tmp_path / "b.zdf", alpha=0)
    with pytest.raises(SensorError, match="is transparent in 48 pixels"):
        Rgb().read(tmp_path / "b.zdf")


def test_a_zivid_capture_that_leads_out_of_its_file_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.zdf", "w") as file:
        file["data/pointcloud"] = h5py.ExternalLink("other.h5", "/cloud")
    with pytest.raises(SensorError, match="leads into another file"):
        Points(unit="mm").read(tmp_path / "a.zdf")


# ---------------------------------------------------------------- scans


RNG = np.random.default_rng(2)
DARKS = RNG.integers(90, 110, (4, 5, 6)).astype(np.uint16)
FLATS = RNG.integers(3000, 3200, (5, 5, 6)).astype(np.uint16)
FLATS[:, 4, 5] = DARKS[0, 4, 5]  # a dead pixel
FRAMES = RNG.integers(500, 2500, (3, 5, 6)).astype(np.uint16)


def write_exchange(path, **left_out):
    with h5py.File(path, "w") as file:
        for name, frames in {"data": FRAMES, "data_white": FLATS, "data_dark": DARKS}.items():
            if name not in left_out:
                file[f"exchange/{name}"] = frames
        file["exchange/data"].attrs["axes"] = "theta:y:x"


def write_nxtomo(path, where="entry1/tomo_entry", **options):
    """Write a scan whose kinds of frames are mixed."""
    keys = [1, 2, 0, 1, 2, 3, 1, 0, 1, 2, 0, 1, 2]
    kinds = {0: list(FRAMES), 1: list(FLATS), 2: list(DARKS), 3: [np.zeros((5, 6), np.uint16)]}
    with h5py.File(path, "w") as file:
        detector = f"{where}/instrument/detector"
        frames = np.stack([kinds[key].pop(0) for key in keys])
        file.create_dataset(f"{detector}/data", data=frames, **options)
        file[f"{detector}/image_key"] = keys
        file[f"{where}/definition"] = "NXtomo"


SCANS = {
    "a.h5": write_exchange,
    "a.nxs": write_nxtomo,
    "b.nxs": lambda path: write_nxtomo(path, "entry", chunks=(2, 5, 6), compression="gzip"),
}


@pytest.mark.parametrize("name", SCANS)
def test_a_scan_gives_transmission_by_its_own_flats_and_darks(tmp_path, name):
    SCANS[name](tmp_path / name)
    dark, flat = DARKS.mean(axis=0), FLATS.mean(axis=0)
    for frame in range(3):
        read = Xray(own_fields=True, frame=frame).read(tmp_path / name)
        wanted = (FRAMES[frame] - dark) / (flat - dark)
        wanted[4, 5] = np.nan
        np.testing.assert_allclose(read.values[0], wanted, rtol=1e-5)
        assert read.attrs["units"] == "1"
    with pytest.raises(SensorError, match="holds 3 frames of the part, but one was promised"):
        Xray(own_fields=True).read(tmp_path / name)
    with pytest.raises(SensorError, match="frame 3 was asked for"):
        Xray(own_fields=True, frame=3).read(tmp_path / name)


def test_a_scan_without_its_fields_is_refused(tmp_path):
    write_exchange(tmp_path / "a.h5", data_dark=True)
    with pytest.raises(SensorError, match=r"holds neither exchange/data with .* as files"):
        Xray(own_fields=True, frame=0).read(tmp_path / "a.h5")
    write_nxtomo(tmp_path / "a.nxs")
    with h5py.File(tmp_path / "a.nxs", "r+") as file:
        keys = file["entry1/tomo_entry/instrument/detector/image_key"]
        keys[...] = np.where(keys[...] == 2, 3, keys[...])
    with pytest.raises(SensorError, match="a scan without darks"):
        Xray(own_fields=True, frame=0).read(tmp_path / "a.nxs")
    with pytest.raises(SensorError, match=r"ends with '\.png', but one of \.h5"):
        Xray(own_fields=True).read(tmp_path / "a.png")
    with pytest.raises(CardError, match="own_fields stands beside flat, dark, white"):
        Xray(own_fields=True, white=3000)


def test_frames_in_another_order_are_refused(tmp_path):
    write_exchange(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["exchange/data"].attrs["axes"] = "y:theta:x"
    with pytest.raises(SensorError, match="orders /exchange/data by y:theta:x"):
        Xray(own_fields=True, frame=0).read(tmp_path / "a.h5")


# ---------------------------------------------------------------- several sensors in one file


CARD = """
name = "zivid"
title = ""
licence = ""
source = ""
good = ["good"]
[frames]
rgb = ["{split}/{kind}/{capture}.zdf"]
points = ["{split}/{kind}/{capture}.zdf"]
[sensors.rgb]
[sensors.points]
unit = "mm"
[rig]
reference = "rgb"
registered = ["points"]
"""


def test_a_file_with_the_frames_of_two_sensors_is_read_by_both(tmp_path):
    for kind in ("good", "dent"):
        folder = tmp_path / "parts/test" / kind
        folder.mkdir(parents=True)
        cloud = write_zdf(folder / "1.zdf")
    (tmp_path / "card.toml").write_text(CARD)
    whole = Dataset(tmp_path / "card.toml", tmp_path / "parts")
    dent, good = whole.captures("parts")
    assert list(dent.frames) == ["rgb", "points"]
    scene = whole.scene(good)
    np.testing.assert_array_equal(scene["points"].values, np.moveaxis(cloud, -1, 0))
    np.testing.assert_allclose(scene["rgb"].values[:, 1, 1], COLOUR[1, 1] / 255, rtol=1e-6)
    alone = Dataset(tmp_path / "card.toml", tmp_path / "parts", sensors=["points"])
    assert list(alone.captures("parts")[0].frames) == ["points"]
