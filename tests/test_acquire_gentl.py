"""GenTL: the virtual producer that comes with genicam, and buffers that are not whole."""

from contextlib import ExitStack
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("harvesters", reason="the extra 'rig' is not installed")

from mmdefect.acquire.frame import Damaged, Frame
from mmdefect.acquire.gentl import Gentl, GentlCamera, producers
from mmdefect.acquire.measuring import measured
from mmdefect.acquire.setup import setup_of
from mmdefect.errors import AcquisitionError

RED = "VikyTL_DEV_red"


@pytest.fixture(scope="module")
def viky():
    with Gentl(["viky"]) as opened:
        yield opened


def frames(camera, count: int) -> list[Frame]:
    camera.start("free", "")
    try:
        return [camera.fetch(5.0) for _ in range(count)]
    finally:
        camera.stop()
        camera.close()


def test_three_cameras_are_listed(viky):
    assert [entry["id"] for entry in viky.cameras()] == [
        "VikyTL_DEV_red", "VikyTL_DEV_green", "VikyTL_DEV_blue"
    ]  # fmt: skip


def test_an_organised_cloud_and_its_colour_come_in_one_frame(viky):
    """The producer's cloud lies on a grid of one millimetre a pixel, so x and y are known."""
    got = frames(viky.open(RED, {}, frozenset({"Intensity", "Range"})), 3)
    assert [frame.number for frame in got] == [1, 2, 3]
    assert all(a.arrived_ns < b.arrived_ns for a, b in pairwise(got))
    seats = setup_of({"sensors": {"rgb": {"camera": RED}, "points": {"camera": RED}}}).sensors
    for frame in got:
        assert frame.scan3d.system == "Cartesian"
        assert frame.scan3d.reference == "Anchor"
        assert frame.scan3d.unit == "Millimeter"
        assert frame.scan3d.pose["RotationY"] == 180
        both = measured({RED: frame}, seats)
        rows, columns = np.indices((400, 400))
        assert np.array_equal(both["points"][..., 0], columns)
        assert np.array_equal(both["points"][..., 1], rows)
        assert both["points"].dtype == np.float32
        assert both["rgb"].shape == (400, 400, 3)
        thrown = both["points"][..., 2] > 0  # the ball stands out of the plane, in its own colour
        colors = np.unique(both["rgb"][thrown], axis=0)
        assert colors.tolist() == [[255, 0, 0]]


def test_features_are_set_and_what_is_not_wanted_is_off(viky):
    features = {"PixelFormat": "Mono8", "Width": 200, "Height": 100}
    (frame,) = frames(viky.open("VikyTL_DEV_blue", features, frozenset({"Intensity"})), 1)
    (part,) = frame.parts
    assert (part.format, part.counts.shape) == ("Mono8", (100, 200))
    assert frame.scan3d is None


@pytest.mark.parametrize(
    ("camera", "features", "parts", "trigger", "said"),
    [
        ("sonar", {}, "Range", "free", "no camera 'sonar'; there are: VikyTL_DEV_red"),
        (RED, {"Gain": 3}, "Range", "free", "has no feature 'Gain'"),
        (RED, {"PixelFormat": "Mono9"}, "Range", "free", "does not take PixelFormat = 'Mono9'"),
        (RED, {}, "Thermal", "free", "no component 'Thermal'; there are: Intensity, Range"),
        (
            RED,
            {},
            "Range",
            "software",
            'has no trigger .no node TriggerMode.; use trigger = "free"',
        ),
    ],
)
def test_what_a_camera_has_not_is_said(viky, camera, features, parts, trigger, said):
    with pytest.raises(AcquisitionError, match=said), ExitStack() as stack:
        start_one(stack, viky, camera, features, parts, trigger)


def start_one(stack, viky, camera, features, parts, trigger) -> None:
    opened = viky.open(camera, features, frozenset({parts}))
    stack.callback(opened.close)
    opened.start(trigger, "")


def test_a_camera_that_another_program_holds_is_said_to_be_held(viky):
    held = viky.open(RED, {}, frozenset({"Intensity"}))
    try:
        with pytest.raises(AcquisitionError, match="does another program hold it"):
            viky.open(RED, {}, frozenset({"Intensity"}))
    finally:
        held.close()


def test_a_producer_that_is_not_there_is_named(tmp_path, monkeypatch):
    with pytest.raises(AcquisitionError, match=r"no GenTL producer 'maker\.cti'"):
        producers(["maker.cti"])
    (tmp_path / "maker.cti").touch()
    monkeypatch.setenv("GENICAM_GENTL64_PATH", f"{tmp_path}")
    assert producers() == [tmp_path / "maker.cti"]


# buffers that a network or a driver spoiled: the virtual producer never does


class Acquirer:
    """Hands out planted buffers in harvesters' stead."""

    min_num_buffers, Events = 1, SimpleNamespace(INCOMPLETE_BUFFER=4)

    def __init__(self, buffers: list) -> None:
        self.remote_device = SimpleNamespace(node_map=SimpleNamespace())
        self.queued: list = []
        self._buffers = iter(buffers)

    def add_callback(self, event, callback) -> None:
        self._callback = callback

    def start(self) -> None:
        pass

    def try_fetch(self, *, timeout: float, is_raw: bool):
        buffer = next(self._buffers)
        if buffer == "discarded":
            self._callback.emit(context=self)
            return None
        return buffer


def buffer(number: int, **spoiled: object) -> SimpleNamespace:
    """A buffer of 2 by 3 pixels in 16 bits."""
    body = np.arange(6, dtype="<u2").tobytes()
    whole = {
        "frame_id": number,
        "is_complete": lambda: True,
        "size_filled": len(body),
        "data_size": len(body),
        "payload_type": 1,
        "pixel_format": 0x01100007,
        "height": 2,
        "width": 3,
        "raw_buffer": body,
        "timestamp_ns": 12345,
        "parent": SimpleNamespace(queue_buffer=QUEUED.append),
    }
    return SimpleNamespace(**(whole | spoiled))


QUEUED: list = []


def test_only_whole_buffers_are_used_and_the_others_are_told():
    QUEUED.clear()
    planted = [
        buffer(1),
        buffer(2, is_complete=lambda: False),
        buffer(3, size_filled=11),
        buffer(4, raw_buffer=b"\0" * 11, size_filled=11, data_size=11),
        buffer(5, height=0),
        buffer(6, pixel_format=0x01080099),
        buffer(7, payload_type=3),
        "discarded",
        None,
        buffer(8),
    ]
    camera = GentlCamera("cam", Acquirer(planted), {}, frozenset())
    camera.start("free", "")
    got = [camera.fetch(0.1) for _ in planted]
    whole = [frame for frame in got if isinstance(frame, Frame)]
    assert [frame.number for frame in whole] == [1, 8]
    assert [frame.taken_ns for frame in whole] == [12345, 12345]
    assert all(np.array_equal(f.parts[0].counts, [[0, 1, 2], [3, 4, 5]]) for f in whole)
    damaged = [(frame.number, frame.why) for frame in got if isinstance(frame, Damaged)]
    assert damaged[:3] == [
        (2, "incomplete buffer"),
        (3, "buffer not filled"),
        (4, "2x3 pixels of Mono16 take 12 bytes, but 11 came"),
    ]
    assert [number for number, _ in damaged] == [2, 3, 4, 5, 6, 7, None]
    assert got[-2] is None
    assert len(QUEUED) == 8  # every buffer went back to the driver
