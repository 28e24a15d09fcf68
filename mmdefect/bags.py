"""ROS 2 bags in SQLite (``.db3``), as RealSense and ROS record them: images and their cameras.

* The database is opened read-only and as it lies; only the two real tables of a bag are asked, and
  a query that runs away is stopped.
* Messages are CDR: every length in them is held against the bytes of the message before it is
  followed. Three types are understood, the rest of a bag is left alone.
"""

import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdefect.arrays import check_bytes, check_declared, check_frame, choose
from mmdefect.errors import SensorError

_IMAGE, _PACKED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
_CAMERA = "sensor_msgs/msg/CameraInfo"
_ENCODINGS = {
    "mono8": ("u1", 1), "8UC1": ("u1", 1), "8SC1": ("i1", 1), "mono16": ("u2", 1),
    "16UC1": ("u2", 1), "16SC1": ("i2", 1), "32SC1": ("i4", 1), "32FC1": ("f4", 1),
    "64FC1": ("f8", 1), "rgb8": ("u1", 3), "bgr8": ("u1", 3), "rgb16": ("u2", 3),
    "bgr16": ("u2", 3), "8UC3": ("u1", 3), "16UC3": ("u2", 3), "32FC3": ("f4", 3),
}  # fmt: skip
_DEPTH_CONFIG_BYTES = 12
_STEPS_ASKED, _MOST_ASKS = 1_000_000, 2000


@dataclass(frozen=True)
class Packed:
    """An image that a message holds as a file: PNG or JPEG."""

    body: bytes


@dataclass(frozen=True)
class BagCamera:
    """Intrinsics from a bag.

    Attributes
    ----------
    shape : (int, int)
        Rows and columns.
    fx, fy, cx, cy : float, px
    lens : tuple of float
        Coefficients of distortion.
    """

    shape: tuple[int, int]
    fx: float
    fy: float
    cx: float
    cy: float
    lens: tuple[float, ...]


def read_bag(
    path: Path, max_bytes: int, key: str | None = None, frame: int | None = None
) -> NDArray[Any] | Packed:
    """Read one image of a bag.

    Parameters
    ----------
    path : Path
        A ``.db3`` file.
    max_bytes : int
        Limit of the declared size in bytes.
    key : str, optional
        The topic; may be left out when the bag holds one topic of images.
    frame : int, optional
        Which of the topic's messages, by time, counted from 0; may be left out when it is one.

    Returns
    -------
    ndarray (y, x) or (y, x, 3), or Packed
        As stored, colours in the order red, green, blue.

    Raises
    ------
    SensorError
        When there is no such topic or message, or it is no image of a known encoding.
    """
    with _opened(path, max_bytes) as bag:
        topics = _topics(bag, (_IMAGE, _PACKED))
        name = choose(sorted(topics), key)
        kind, topic = topics[name]
        (count,) = bag.execute("SELECT COUNT(*) FROM messages WHERE topic_id=?", [topic]).fetchone()
        if frame is None and count != 1:
            raise SensorError(
                f"holds {count} frames of {name!r}, but one was promised; name one by frame = N"
            )
        check_frame(frame or 0, count)
        message = _Message(_body(bag, topic, frame or 0, max_bytes))
    message.header()
    return _image(message, max_bytes) if kind == _IMAGE else _packed(message)


def read_bag_camera(path: Path, max_bytes: int, key: str | None = None) -> BagCamera:
    """Read the intrinsics that belong to a topic of images.

    Parameters
    ----------
    path : Path
        A ``.db3`` file.
    max_bytes : int
        Limit of the declared size in bytes.
    key : str, optional
        The topic of images, as in ``read_bag``.

    Returns
    -------
    BagCamera

    Raises
    ------
    SensorError
        When the bag holds none for this topic.
    """
    with _opened(path, max_bytes) as bag:
        name = choose(sorted(_topics(bag, (_IMAGE, _PACKED))), key)
        cameras = _topics(bag, (_CAMERA,))
        near = [each for each in cameras if name.startswith(each.removesuffix("camera_info"))]
        if not near:
            raise SensorError(
                f"holds no camera_info beside {name!r}, but intrinsics were promised; state fx, "
                "fy, cx, cy in the card"
            )
        message = _Message(_body(bag, cameras[max(near, key=len)][1], 0, max_bytes))
    message.header()
    rows, columns = message.number("I"), message.number("I")
    message.text()
    lens = message.numbers("d", message.number("I"))
    k = message.numbers("d", 9)
    if not (np.isfinite([*k, *lens]).all() and k[0] > 0 and k[4] > 0):
        raise SensorError(
            f"holds the intrinsics {k}, which are no camera's; state them in the card"
        )
    return BagCamera((rows, columns), k[0], k[4], k[2], k[5], tuple(lens))


class _Message:
    """A CDR message, read front to back."""

    def __init__(self, body: bytes) -> None:
        if len(body) < 4 or body[0] != 0 or body[1] not in (0, 1):
            raise SensorError(
                f"holds a message that begins with {body[:4].hex(' ')}, but plain CDR was promised"
            )
        self.order = "<" if body[1] else ">"
        self._body, self._place = body[4:], 0

    def _take(self, count: int, step: int) -> bytes:
        """Give the next bytes, after padding to a multiple of `step`."""
        start = -(-self._place // step) * step
        if count > len(self._body) - start:
            raise SensorError(
                f"holds a message of {len(self._body)} bytes that declares {start + count}; "
                "it was cut off: record it again"
            )
        self._place = start + count
        return self._body[start : self._place]

    def numbers(self, kind: str, count: int) -> list[Any]:
        """Give numbers of one of ``struct``'s kinds."""
        size = struct.calcsize(kind)
        stored = self._take(count * size, size if count else 1)
        return list(struct.unpack(f"{self.order}{count}{kind}", stored))

    def number(self, kind: str) -> Any:
        """Give one number."""
        return self.numbers(kind, 1)[0]

    def block(self) -> bytes:
        """Give a sequence of bytes."""
        return self._take(self.number("I"), 1)

    def text(self) -> str:
        """Give a text."""
        return self.block().rstrip(b"\0").decode("utf-8")

    def header(self) -> None:
        """Pass over time and frame name."""
        self.numbers("I", 2)
        self.text()


def _image(message: _Message, max_bytes: int) -> NDArray[Any]:
    """Understand a ``sensor_msgs/Image``."""
    rows, columns = message.number("I"), message.number("I")
    encoding = message.text()
    big, stride = message.number("B"), message.number("I")
    if encoding not in _ENCODINGS:
        raise SensorError(
            f"holds an image of encoding {encoding[:40]!r}, but one of {', '.join(_ENCODINGS)} was "
            "promised; record it so"
        )
    kind, channels = _ENCODINGS[encoding]
    dtype = np.dtype(f"{'>' if big else '<'}{kind}")
    check_declared((rows, columns, channels), dtype, max_bytes)
    stored = message.block()
    width = columns * channels * dtype.itemsize
    if stride < width or len(stored) < stride * (rows - 1) + width:
        raise SensorError(
            f"declares {rows} rows of {width} bytes every {stride}, but holds {len(stored)} bytes; "
            "the header is damaged: record it again"
        )
    steps = (stride, channels * dtype.itemsize, dtype.itemsize)
    view: NDArray[Any] = np.ndarray((rows, columns, channels), dtype, stored, 0, steps)
    ordered = view[..., ::-1] if encoding.startswith("bgr") else view
    pixels = np.array(ordered, dtype.newbyteorder("="))
    return pixels[..., 0] if channels == 1 else pixels


def _packed(message: _Message) -> Packed:
    """Understand a ``sensor_msgs/CompressedImage``."""
    told = message.text()
    body = message.block()
    if "compressedDepth" not in told:
        return Packed(body)
    if not told.startswith(("16UC1", "mono16")) or "rvl" in told.lower():
        raise SensorError(
            f"holds depth packed as {told[:60]!r}, but 16UC1 as PNG was promised; record it so"
        )
    return Packed(body[_DEPTH_CONFIG_BYTES:])


@contextmanager
def _opened(path: Path, max_bytes: int) -> Iterator[sqlite3.Connection]:
    """Open a bag so that it can neither be changed nor run away."""
    asked = iter(range(_MOST_ASKS))
    address = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
    with closing(sqlite3.connect(address, uri=True)) as bag:
        bag.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, min(max_bytes + 4096, (1 << 31) - 1))
        bag.set_progress_handler(lambda: next(asked, None) is None, _STEPS_ASKED)
        bag.execute("PRAGMA trusted_schema=OFF")
        bag.execute("PRAGMA cell_size_check=ON")
        plain = "SELECT name FROM sqlite_master WHERE type='table' AND rootpage > 0"
        there = {name for (name,) in bag.execute(plain)}
        if not {"topics", "messages"} <= there:
            raise SensorError(
                f"is a database of {', '.join(sorted(map(str, there))) or 'nothing'}, but a ROS 2 "
                "bag with topics and messages was promised; is it another file?"
            )
        yield bag


def _topics(bag: sqlite3.Connection, kinds: tuple[str, ...]) -> dict[str, tuple[str, int]]:
    """List topics of some types by name, with type and number."""
    rows = bag.execute("SELECT name, type, id, serialization_format FROM topics LIMIT 10000")
    return {
        str(name): (str(kind), int(topic))
        for name, kind, topic, form in rows
        if kind in kinds and form == "cdr"
    }


def _body(bag: sqlite3.Connection, topic: int, frame: int, max_bytes: int) -> bytes:
    """Fetch the bytes of one message."""
    places = "SELECT id, length(data) FROM messages WHERE topic_id=? ORDER BY timestamp, id"
    found = bag.execute(f"{places} LIMIT 1 OFFSET ?", [topic, frame]).fetchone()
    if found is None:
        raise SensorError("holds no such message, though it counts it; the bag is damaged")
    check_bytes(int(found[1]), max_bytes)
    (body,) = bag.execute("SELECT data FROM messages WHERE id=?", [found[0]]).fetchone()
    if not isinstance(body, bytes):
        raise SensorError("holds a message that is no bytes; the bag is damaged: record it again")
    return body
