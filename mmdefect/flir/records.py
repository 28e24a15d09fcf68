"""The directory of a camera's records.

Header and directory are in the byte order of the camera's computer, and every record in its own,
which need not be the same: each says so by a number that is known beforehand.
"""

import struct
from typing import NamedTuple

from mmdefect.errors import SensorError

RAW, PICTURE, CAMERA = 0x01, 0x0E, 0x20
"""Kinds of records: counts of the detector, photograph, camera and scene."""

_HEADER, _ENTRY = 64, 32
_VERSIONS = range(100, 200)


class Record(NamedTuple):
    """One record: its bytes, and their order as ``struct`` spells it."""

    body: bytes
    order: str

    def numbers(self, spelling: str, place: int) -> tuple[int | float, ...]:
        """Read numbers at a place, spelt as ``struct`` does."""
        try:
            return struct.unpack_from(self.order + spelling, self.body, place)
        except struct.error as error:
            raise SensorError(
                f"holds a record of {len(self.body)} bytes, but more were promised; the file was "
                "cut off or damaged: copy it again"
            ) from error

    def text(self, place: int, length: int) -> str:
        """Read a text that ends at its first zero."""
        return self.body[place : place + length].split(b"\0")[0].decode("latin-1").strip()


def find_record(records: bytes, kind: int) -> Record | None:
    """Find the first record of a kind.

    Parameters
    ----------
    records : bytes
        From the header on.
    kind : int
        ``RAW``, ``PICTURE`` or ``CAMERA``.

    Returns
    -------
    Record or None
        None when there is none.

    Raises
    ------
    SensorError
        When header or directory are damaged, or the record lies beyond the end.
    """
    order = _order(records)
    start, count = struct.unpack_from(f"{order}II", records, 0x18)
    if start < _HEADER or start + _ENTRY * count > len(records):
        raise SensorError(
            f"places a directory of {count} records at byte {start} of {len(records)}; the file "
            "was cut off or damaged: copy it again"
        )
    for entry in range(count):
        place = start + _ENTRY * entry
        (found,) = struct.unpack_from(f"{order}H", records, place)
        if found == kind:
            offset, length = struct.unpack_from(f"{order}II", records, place + 12)
            return _record(records, kind, offset, length)
    return None


def _order(records: bytes) -> str:
    """Tell the byte order of header and directory by the version, which is known roughly."""
    if len(records) >= _HEADER and records[:4] in (b"FFF\0", b"AFF\0"):
        for order in (">", "<"):
            if struct.unpack_from(f"{order}I", records, 0x14)[0] in _VERSIONS:
                return order
    raise SensorError(
        "begins its records with a header that is not the camera's; the file was damaged: copy it "
        "again"
    )


def _record(records: bytes, kind: int, offset: int, length: int) -> Record:
    """Cut a record out, and tell its byte order by its first number."""
    if length < _ENTRY or offset + length > len(records):
        raise SensorError(
            f"places record {kind} at bytes {offset} to {offset + length} of {len(records)}; the "
            "file was cut off or damaged: copy it again"
        )
    body = records[offset : offset + length]
    mark = int.from_bytes(body[:2], "little")
    order = "<" if mark < 0x100 else ">"
    return Record(body, order)
