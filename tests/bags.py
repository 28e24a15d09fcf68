"""ROS 2 bags for tests, written by hand: CDR messages in SQLite."""

import sqlite3
import struct
from contextlib import closing
from pathlib import Path

import numpy as np

_KINDS = {name: f"sensor_msgs/msg/{name}" for name in ("Image", "CompressedImage", "CameraInfo")}


class Cdr:
    """A message in the making."""

    def __init__(self, order: str = "<") -> None:
        self.order, self.body = order, b""

    def put(self, kind: str, *numbers: float) -> "Cdr":
        size = struct.calcsize(kind)
        self.body += bytes(-len(self.body) % size)
        self.body += struct.pack(f"{self.order}{len(numbers)}{kind}", *numbers)
        return self

    def text(self, text: str) -> "Cdr":
        stored = text.encode() + b"\0"
        self.put("I", len(stored)).body += stored
        return self

    def block(self, stored: bytes) -> "Cdr":
        self.put("I", len(stored)).body += stored
        return self

    def __bytes__(self) -> bytes:
        return bytes([0, self.order == "<", 0, 0]) + self.body


def image(pixels: np.ndarray, encoding: str, order: str = "<", spare: int = 0) -> bytes:
    """Make a ``sensor_msgs/Image`` whose rows end with some spare bytes."""
    rows = pixels.astype(pixels.dtype.newbyteorder(order)).reshape(len(pixels), -1)
    stored = b"".join(row.tobytes() + bytes(spare) for row in rows)
    head = Cdr(order).put("I", 7, 9).text("camera").put("I", *pixels.shape[:2]).text(encoding)
    stride = rows.shape[1] * pixels.dtype.itemsize + spare
    return bytes(head.put("B", order == ">").put("I", stride).block(stored))


def packed(told: str, body: bytes) -> bytes:
    """Make a ``sensor_msgs/CompressedImage``."""
    return bytes(Cdr().put("I", 7, 9).text("camera").text(told).block(body))


def camera(
    shape: tuple[int, int], fx: float, fy: float, cx: float, cy: float, *lens: float
) -> bytes:
    """Make a ``sensor_msgs/CameraInfo``."""
    made = Cdr().put("I", 7, 9).text("camera").put("I", *shape).text("plumb_bob")
    made.put("I", len(lens)).put("d", *lens, fx, 0, cx, 0, fy, cy, 0, 0, 1)
    return bytes(made.put("d", *[0.0] * 21))


def write_bag(path: Path, topics: dict[str, tuple[str, list[bytes]]]) -> Path:
    """Write a bag of topics: type and messages by name."""
    with closing(sqlite3.connect(path)) as bag:
        bag.execute(
            "CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT, type TEXT, "
            "serialization_format TEXT, offered_qos_profiles TEXT)"
        )
        bag.execute(
            "CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER, timestamp INTEGER, "
            "data BLOB)"
        )
        for number, (name, (kind, messages)) in enumerate(topics.items(), 1):
            row = (number, name, _KINDS.get(kind, kind), "cdr", "")
            bag.execute("INSERT INTO topics VALUES (?, ?, ?, ?, ?)", row)
            for time, body in enumerate(messages):
                row = (None, number, 1000 - time if name.endswith("backwards") else time, body)
                bag.execute("INSERT INTO messages VALUES (?, ?, ?, ?)", row)
        bag.commit()
    return path
