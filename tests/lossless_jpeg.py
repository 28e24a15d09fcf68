"""Lossless JPEG streams for tests, encoded bit by bit."""

import struct

import numpy as np


def lossless(pixels: np.ndarray, precision: int, predictor: int, shift: int, rows: int) -> bytes:
    """Encode pixels (y, x, channel) by codes of five bits, restarting after every `rows`."""
    height, width, channels = pixels.shape
    values = pixels.astype(np.int64) >> shift
    bits = []

    def flush() -> bytes:
        text = "".join(bits) + "1" * (-len("".join(bits)) % 8)
        bits.clear()
        packed = bytes(int(text[k : k + 8], 2) for k in range(0, len(text), 8))
        return packed.replace(b"\xff", b"\xff\x00")

    body, fresh = b"", 0
    for y in range(height):
        if rows and y and y % rows == 0:
            body += flush() + bytes([0xFF, 0xD0 + (y // rows - 1) % 8])
            fresh = y
        for x in range(width):
            for c in range(channels):
                left = values[y, x - 1, c] if x else 0
                above = values[y - 1, x, c] if y else 0
                corner = values[y - 1, x - 1, c] if x and y else 0
                guess = (
                    0, left, above, corner, left + above - corner, left + ((above - corner) >> 1),
                    above + ((left - corner) >> 1), (left + above) >> 1,
                )[predictor]  # fmt: skip
                if y == fresh:
                    guess = left if x else 1 << (precision - shift - 1)
                elif not x:
                    guess = above
                step = int((values[y, x, c] - guess + 32768) & 0xFFFF) - 32768
                step = 32768 if step == -32768 else step
                size = abs(step).bit_length()
                bits.append(f"{size:05b}")
                if 0 < size < 16:
                    bits.append(f"{step if step > 0 else step + (1 << size) - 1:0{size}b}")
    body += flush()
    frame = struct.pack(">BHHB", precision, height, width, channels)
    frame += b"".join(bytes([c + 1, 0x11, 0]) for c in range(channels))
    scan = bytes([channels]) + b"".join(bytes([c + 1, 0]) for c in range(channels))
    parts = {
        0xC4: bytes([0, 0, 0, 0, 0, 17, *[0] * 11, *range(17)]),
        0xC3: frame,
        0xDD: struct.pack(">H", rows * width),
        0xDA: scan + bytes([predictor, 0, shift]),
    }
    heads = b"".join(
        bytes([0xFF, marker]) + struct.pack(">H", len(said) + 2) + said
        for marker, said in parts.items()
    )
    return b"\xff\xd8" + heads + body + b"\xff\xd9"
