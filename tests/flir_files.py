"""Writes radiometric JPEGs as FLIR cameras do, for tests: every byte order, payload and cut."""

import io
import struct
from pathlib import Path

import numpy as np
from PIL import Image

CAMERA = {
    "emissivity": 0.93,
    "distance": 2.5,
    "reflected_temperature": 296.0,
    "air_temperature": 294.5,
    "window_temperature": 297.5,
    "window_transmission": 0.9,
    "humidity": 0.45,
    "r1": 17096.453,
    "b": 1428.0,
    "f": 1.0,
    "alpha1": 0.006569,
    "alpha2": 0.01262,
    "beta1": -0.002276,
    "beta2": -0.00667,
    "x": 1.9,
    "o": -342,
    "r2": 0.046952,
}
PLACES = {
    "emissivity": 0x20,
    "distance": 0x24,
    "reflected_temperature": 0x28,
    "air_temperature": 0x2C,
    "window_temperature": 0x30,
    "window_transmission": 0x34,
    "humidity": 0x3C,
    "r1": 0x58,
    "b": 0x5C,
    "f": 0x60,
    "alpha1": 0x70,
    "alpha2": 0x74,
    "beta1": 0x78,
    "beta2": 0x7C,
    "x": 0x80,
    "o": 0x308,
    "r2": 0x30C,
}


def counts_of(height: int = 24, width: int = 32) -> np.ndarray:
    """A smooth warm scene in counts (y, x), uint16."""
    y, x = np.mgrid[:height, :width]
    return (14000 + 40 * y + 11 * x + 900 * np.exp(-((x - 9) ** 2 + (y - 7) ** 2) / 20)).astype(
        "u2"
    )


def camera_record(order: str = "<", **changed: float) -> bytes:
    body = bytearray(0x480)
    struct.pack_into(f"{order}H", body, 0, 2)
    for name, value in (CAMERA | changed).items():
        struct.pack_into(order + ("i" if name == "o" else "f"), body, PLACES[name], value)
    body[0xD4 : 0xD4 + 10] = b"FLIR Paper"
    return bytes(body)


def raw_record(counts: np.ndarray, order: str = "<", payload: str = "raw") -> bytes:
    height, width = counts.shape
    head = struct.pack(f"{order}HHH", 2, width, height).ljust(32, b"\0")
    if payload == "raw":
        return head + counts.astype(f"{order}u2").tobytes()
    stored = counts.byteswap() if payload == "png" else counts
    stream = io.BytesIO()
    Image.fromarray(stored).save(stream, "PNG")
    return head + stream.getvalue()


def picture_record(picture: np.ndarray, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, kind)
    return struct.pack("<HHH", 4, *picture.shape[1::-1]).ljust(32, b"\0") + stream.getvalue()


def records(bodies: dict[int, bytes], order: str = ">") -> bytes:
    """Header, a directory with empty entries before and behind the used ones, and the records."""
    count = len(bodies) + 3
    place = 64 + 32 * count
    head = b"FFF\0" + b"paper".ljust(16, b"\0") + struct.pack(f"{order}III", 101, 64, count)
    directory, written = bytes(32), b""
    for kind, body in bodies.items():
        entry = struct.pack(f"{order}HHIIII", kind, 1, 100, 1, place + len(written), len(body))
        directory += entry.ljust(32, b"\0")
        written += body
    return head.ljust(64, b"\0") + directory.ljust(32 * count, b"\0") + written


def as_jpeg(record_bytes: bytes, piece: int = 60000, shuffled: bool = False) -> bytes:
    """A small JPEG that carries records in pieces."""
    stream = io.BytesIO()
    Image.new("L", (8, 8), 90).save(stream, "JPEG")
    plain = stream.getvalue()
    pieces = [record_bytes[i : i + piece] for i in range(0, len(record_bytes), piece)]
    segments = [b"\xff\xe1\x00\x08Exif\0\0"]
    for number, part in enumerate(pieces):
        payload = b"FLIR\0\x01" + bytes([number, len(pieces) - 1]) + part
        segments.append(b"\xff\xe1" + (len(payload) + 2).to_bytes(2, "big") + payload)
    if shuffled:
        segments.reverse()
    return plain[:2] + b"".join(segments) + plain[2:]


def write_flir(
    path: Path,
    counts: np.ndarray,
    *,
    outer: str = ">",
    inner: str = "<",
    payload: str = "raw",
    piece: int = 60000,
    shuffled: bool = False,
    picture: np.ndarray | None = None,
    **changed: float,
) -> Path:
    bodies = {0x01: raw_record(counts, inner, payload), 0x20: camera_record(inner, **changed)}
    if picture is not None:
        bodies[0x0E] = picture_record(picture)
    path.write_bytes(as_jpeg(records(bodies, outer), piece, shuffled))
    return path
