"""STL files, binary and text: triangles without neighbours."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdefect.errors import SensorError

_HEAD, _TRIANGLE = 84, 50
_RECORD = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("note", "<u2")])


def read_stl(path: Path) -> NDArray[np.float64]:
    """Read the triangles of an STL file.

    Parameters
    ----------
    path : Path

    Returns
    -------
    float64 array (triangle, corner, 3)
        As stored; the normals of the file are not read, the order of the corners tells them.

    Raises
    ------
    SensorError
        When it holds another number of triangles than it declares.
    """
    size = os.stat(path).st_size
    with path.open("rb") as stream:
        head = stream.read(_HEAD)
        count = int.from_bytes(head[80:84], "little")
        if len(head) == _HEAD and _HEAD + _TRIANGLE * count == size:
            table: NDArray[Any] = np.frombuffer(stream.read(_TRIANGLE * count), _RECORD)
            return table["corners"].astype(np.float64)
        if not head.lstrip().startswith(b"solid"):
            raise SensorError(
                f"declares {count} triangles, which take {_HEAD + _TRIANGLE * count} bytes, but "
                f"holds {size}; it was cut off or is no STL: export it again"
            )
        stream.seek(0)
        return _text(stream.read())


def _text(body: bytes) -> NDArray[np.float64]:
    """Read an STL of words."""
    words = [line.split()[1:] for line in body.splitlines() if line.lstrip()[:7] == b"vertex "]
    if not body.rstrip().splitlines()[-1].lstrip().startswith(b"endsolid") or len(words) % 3:
        raise SensorError(
            f"holds {len(words)} corners and no 'endsolid' at its end, but whole triangles were "
            "promised; it was cut off: export it again"
        )
    if any(len(each) != 3 for each in words):
        raise SensorError("holds a corner that is not three numbers; export it again")
    return np.array(words, np.float64).reshape(-1, 3, 3)
