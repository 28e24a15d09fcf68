"""The segments of a JPEG in which a camera hides its records.

A JPEG segment holds 64 KiB at most, so the records are cut into numbered pieces. A piece that is
missing or comes twice would shift everything behind it; such a file is refused.
"""

from collections.abc import Iterator

from mmdefect.errors import SensorError

_START = b"\xff\xd8"
_SIGN = b"FLIR\x00\x01"
_HEAD = 8
_APP1, _SCAN, _END = 0xE1, 0xDA, 0xD9
_BARE = {0x01, *range(0xD0, 0xD8)}
RECORDS = (b"FFF\x00", b"AFF\x00")
"""What records begin with where no JPEG is around them."""


def flir_records(file: bytes) -> bytes:
    """Join a camera's records from the segments of a JPEG.

    Parameters
    ----------
    file : bytes
        A JPEG, or the records themselves.

    Returns
    -------
    bytes
        From the records' own header on.

    Raises
    ------
    SensorError
        When it is no JPEG, holds no such segments, or not all of them.
    """
    if file.startswith(RECORDS):
        return file
    if not file.startswith(_START):
        raise SensorError(
            f"begins with the bytes {file[:4].hex(' ')}, but a radiometric JPEG was promised; "
            "leave format out of the card, or correct the path"
        )
    pieces: dict[int, bytes] = {}
    counts: set[int] = set()
    for payload in _app1(file):
        if not payload.startswith(_SIGN) or len(payload) < _HEAD:
            continue
        number, last = payload[6], payload[7]
        if number in pieces:
            raise SensorError(
                f"holds piece {number} of the camera's records twice; copy the file again"
            )
        pieces[number] = payload[_HEAD:]
        counts.add(last)
    if not pieces:
        raise SensorError(
            "is a JPEG without a FLIR camera's records, but a radiometric one was promised; a "
            "picture that was edited or sent by a messenger has lost them: export the original"
        )
    if len(counts) > 1 or set(pieces) != set(range(max(counts) + 1)):
        raise SensorError(
            f"holds {len(pieces)} pieces of the camera's records, but {max(counts) + 1} were "
            "promised; the file was cut off or damaged: copy it again"
        )
    return b"".join(pieces[number] for number in sorted(pieces))


def _app1(file: bytes) -> Iterator[bytes]:
    """Give the payloads of APP1 segments before the first scan; a cut-off one ends them."""
    place = 2
    while place + 4 <= len(file) and file[place] == 0xFF:
        marker = file[place + 1]
        if marker in (_SCAN, _END):
            return
        if marker == 0xFF:
            place += 1
            continue
        if marker in _BARE:
            place += 2
            continue
        length = int.from_bytes(file[place + 2 : place + 4], "big")
        end = place + 2 + length
        if length < 2 or end > len(file):
            return
        if marker == _APP1:
            yield file[place + 4 : end]
        place = end
