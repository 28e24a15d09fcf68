"""LZF, the packing of ``binary_compressed`` PCD files, unpacked within promised bounds.

* A stream that announces more than it can hold is refused before the room for it is allocated:
  three bytes unpack to 264 at most.
* A repeat may overlap its own output, so it is copied byte by byte; in a compiled loop that costs
  nothing, and every read and write is held against the two ends.
"""

from typing import Any

import numpy as np

from mmdefect.errors import SensorError
from mmdefect.jit import compiled

RATIO = 88
"""Most bytes that one byte of an LZF stream becomes: three bytes repeat up to 264."""


def unpack_lzf(packed: bytes, promised: int) -> bytes:
    r"""Unpack an LZF stream to the promised number of bytes, and no further.

    Parameters
    ----------
    packed : bytes
        The stream.
    promised : int
        Bytes that it unpacks to.

    Returns
    -------
    bytes
        Exactly as many as promised.

    Raises
    ------
    SensorError
        When it unpacks to another number, ends within a token, or repeats what was never there.

    Examples
    --------
    Three bytes as they are, then six more from three bytes back:

    >>> unpack_lzf(b"\x02abc" + b"\x80\x02", 9)
    b'abcabcabc'
    """
    if not 0 <= promised <= RATIO * len(packed):
        raise SensorError(
            f"packs {len(packed)} bytes that declare {promised}, but at most {RATIO} times as many "
            "can be in them; record the cloud again"
        )
    out = np.empty(promised, np.uint8)
    made = int(_unpack(np.frombuffer(packed, np.uint8), out))
    if made != promised:
        raise SensorError(
            f"packs {'more' if made < 0 else made} bytes instead of the {promised} that it "
            "declares, or is damaged; record the cloud again"
        )
    return out.tobytes()


@compiled
def _unpack(packed: Any, out: Any) -> int:
    """Write what a stream unpacks to; give the number of bytes, negative where it does not fit.

    A control byte below 32 announces that many bytes plus one as they are; any other one repeats
    earlier output, its upper three bits being the length less two (7: the next byte adds to it)
    and the lower five, with the next byte, the distance less one.
    """
    ends, room = packed.size, out.size
    position, made = 0, 0
    while position < ends:
        control = int(packed[position])
        position += 1
        if control < 32:
            length = control + 1
            if position + length > ends or made + length > room:
                return -1
            for k in range(length):
                out[made + k] = packed[position + k]
            position += length
            made += length
            continue
        length = (control >> 5) + 2
        if length == 9:
            if position >= ends:
                return -1
            length += int(packed[position])
            position += 1
        if position >= ends:
            return -1
        start = made - ((control & 31) << 8) - int(packed[position]) - 1
        position += 1
        if start < 0 or made + length > room:
            return -1
        for k in range(length):
            out[made + k] = out[start + k]
        made += length
    return made
