"""GigE Vision: a camera in a second process on the loopback, its pixels planted, packets lost.

Needs the library Aravis 0.8 (Debian: libaravis-0.8-0); skipped, saying so, where it is absent.
"""

import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from mmdefect.acquire._aravis import library
from mmdefect.acquire.frame import Damaged, Frame
from mmdefect.acquire.gige import GigeCamera, cameras
from mmdefect.acquire.session import Session
from mmdefect.acquire.setup import setup_of
from mmdefect.errors import AcquisitionError

try:
    library()
except AcquisitionError as error:
    pytest.skip(str(error), allow_module_level=True)

# A camera that fills every frame with bytes made of its number, so that each pixel is known.
SERVER = """
import ctypes, sys
from ctypes import c_char_p, c_int, c_size_t, c_uint32, c_uint64, c_void_p
import numpy as np
PATTERN
arv = ctypes.CDLL("libaravis-0.8.so.0")
lost = int(sys.argv[1])

def declare(name, result, *arguments):
    function = getattr(arv, name)
    function.restype, function.argtypes = result, arguments
    return function

Fill = ctypes.CFUNCTYPE(None, c_void_p, c_void_p, c_uint32, c_uint32, c_uint32)
new = declare("arv_gv_fake_camera_new", c_void_p, c_char_p, c_char_p)
inner = declare("arv_gv_fake_camera_get_fake_camera", c_void_p, c_void_p)
running = declare("arv_gv_fake_camera_is_running", c_int, c_void_p)
fill_with = declare("arv_fake_camera_set_fill_pattern", None, c_void_p, Fill, c_void_p)
place = declare("arv_buffer_get_data", c_void_p, c_void_p, ctypes.POINTER(c_size_t))
number = declare("arv_buffer_get_frame_id", c_uint64, c_void_p)
width = declare("arv_buffer_get_image_width", c_int, c_void_p)
height = declare("arv_buffer_get_image_height", c_int, c_void_p)

def fill(buffer, nothing, exposure, gain, pixel_format):
    bits = pixel_format >> 16 & 255
    count = width(buffer) * height(buffer) * bits // 8
    planted = pattern(number(buffer), count).tobytes()
    ctypes.memmove(place(buffer, None), planted, count)

camera = new(b"127.0.0.1", b"PLANTED")
kept = Fill(fill)
fill_with(inner(camera), kept, None)
if lost:
    arv.g_object_set(c_void_p(camera), b"gvsp-lost-ratio", ctypes.c_double(lost / 1000), None)
assert running(camera), "not running"
print("ready", flush=True)
sys.stdin.read()
"""
PATTERN = '''
def pattern(number, size):
    """Bytes that differ from place to place and from frame to frame."""
    places = np.arange(size, dtype=np.uint64)
    mixed = (places * np.uint64(2654435761) + np.uint64(number) * np.uint64(40503)) >> np.uint64(7)
    return (mixed & np.uint64(255)).astype(np.uint8)
'''
exec(PATTERN)

REASONS = {"missing packets", "time-out"}  # the last packet ends a frame, when it comes
SIZES = {"Mono8": 1, "Mono16": 2, "RGB8": 3} | {f"Bayer{t}8": 1 for t in ("BG", "GB", "GR", "RG")}


@contextmanager
def alone() -> Iterator[None]:
    """Hold the one port that a camera on the loopback can have against other runs of the tests."""
    with (Path(tempfile.gettempdir()) / "mmdefect-gige.lock").open("w") as file:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def served(lost: int = 0) -> Iterator[None]:
    """Run the camera in a process of its own; so many of a thousand packets are lost."""
    words = [sys.executable, "-c", SERVER.replace("PATTERN", PATTERN), str(lost)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with alone(), subprocess.Popen(words, **pipes) as server:
        try:
            assert server.stdout.readline() == "ready\n"
            yield
        finally:
            server.stdin.close()
            server.wait(20)


def planted(frame: Frame) -> np.ndarray:
    """What the camera put into a frame of this number and format."""
    (part,) = frame.parts
    count = part.counts.size * part.counts.itemsize
    return pattern(frame.number, count).view(part.counts.dtype).reshape(part.counts.shape)  # noqa: F821


@pytest.fixture
def camera():
    with served():
        opened = GigeCamera("127.0.0.1", {"Width": 96, "Height": 64, "AcquisitionFrameRate": 60.0})
        yield opened
        opened.close()


def test_the_camera_is_found_and_its_formats_are_known(camera):
    assert set(camera.formats()) == set(SIZES)
    (found,) = [entry for entry in cameras() if entry["serial"] == "PLANTED"]
    assert found["id"] == "Aravis-Fake-PLANTED"
    assert (found["vendor"], found["model"], found["address"]) == ("Aravis", "Fake", "127.0.0.1")


def test_every_format_brings_the_planted_pixels_exactly(camera):
    for told in sorted(SIZES):
        check_planted(camera, told)


def check_planted(camera: GigeCamera, told: str) -> None:
    camera.set_feature("PixelFormat", told)
    camera.start("free", "")
    frames = [camera.fetch(5.0) for _ in range(4)]
    camera.stop()
    assert all(isinstance(frame, Frame) for frame in frames)
    assert len({frame.number for frame in frames}) == 4
    for frame in frames:
        (part,) = frame.parts
        assert part.format == told
        assert part.counts.shape == ((64, 96, 3) if told == "RGB8" else (64, 96))
        assert part.counts.itemsize == (2 if told == "Mono16" else 1)
        assert np.array_equal(part.counts, planted(frame))
        assert frame.taken_ns > 0
    assert all(a.taken_ns < b.taken_ns for a, b in pairwise(frames))


def test_a_software_trigger_brings_one_frame_each(camera):
    camera.set_feature("PixelFormat", "Mono16")
    camera.start("software", "")
    assert camera.fetch(0.2) is None
    numbers = []
    for _ in range(3):
        camera.trigger()
        numbers.append(camera.fetch(5.0).number)
        assert camera.fetch(0.1) is None
    camera.stop()
    assert numbers == list(range(numbers[0], numbers[0] + 3))


def test_what_a_camera_does_not_take_is_said(camera):
    with pytest.raises(AcquisitionError, match="does not take PixelFormat = 'Mono9'"):
        camera.set_feature("PixelFormat", "Mono9")
    with pytest.raises(AcquisitionError, match="is no text, number or flag"):
        camera.set_feature("Width", [1])
    with pytest.raises(AcquisitionError, match=r"'127\.0\.0\.9' cannot be opened"):
        GigeCamera("127.0.0.9")


def test_with_two_percent_of_packets_lost_every_frame_is_exact_or_refused():
    """Frames of many packets: most lose one. None that is used differs in a single pixel."""
    counted = Counter()
    with served(lost=20):
        camera = GigeCamera("127.0.0.1", {"Width": 256, "Height": 256, "PixelFormat": "Mono16"})
        camera.start("free", "")
        numbers = []
        for _ in range(40):
            frame = camera.fetch(5.0)
            counted[type(frame)] += 1
            if isinstance(frame, Frame):
                numbers.append(frame.number)
                assert np.array_equal(frame.parts[0].counts, planted(frame))
            else:
                assert frame.why in REASONS
        camera.close()
    assert len(set(numbers)) == len(numbers) == counted[Frame] > 0
    assert counted[Damaged] >= 20
    assert sum(counted.values()) == 40


def test_a_session_keeps_captures_of_lost_frames_and_counts_them():
    told = {
        "sensors": {"xray": {"camera": "aravis:127.0.0.1"}},
        "timeout_s": 3,
        "packet_bytes": 8000,
    }
    told["cameras"] = {"aravis:127.0.0.1": {"PixelFormat": "Mono16"}}
    setup = setup_of(told)
    with served(lost=20), Session(setup) as session:
        taken = list(session.captures(15))
        refused = session.told()
    whole = [capture for capture in taken if not capture.missing]
    for capture in whole:
        frame = capture.frames["aravis:127.0.0.1"]
        assert np.array_equal(frame.parts[0].counts, planted(frame))
    damaged = [capture for capture in taken if capture.damaged]
    assert {why for capture in damaged for why in capture.damaged.values()} <= REASONS
    assert sum(refused["aravis:127.0.0.1"].values()) >= len(damaged)
    assert whole
    assert damaged
    assert len(taken) == 15
