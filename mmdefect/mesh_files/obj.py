"""Wavefront OBJ files: corners and faces, everything else passed over."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmdefect.errors import SensorError


def read_obj(path: Path) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Read the corners and faces of an OBJ file.

    Parameters
    ----------
    path : Path

    Returns
    -------
    float64 array (corner, 3)
        As stored.
    int64 array (value,)
        Corners of all faces, one face after the other, counted from 0.
    int64 array (face,)
        How many corners each face has.

    Raises
    ------
    SensorError
        When a line is not what it begins as.
    """
    corners: list[list[bytes]] = []
    values: list[int] = []
    counts: list[int] = []
    with path.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            words = line.split()
            if not words or words[0] not in (b"v", b"f"):
                continue
            try:
                if words[0] == b"v":
                    corners.append(words[1:4])
                    continue
                named = [int(word.partition(b"/")[0]) for word in words[1:]]
            except ValueError as error:
                raise SensorError(
                    f"says {line[:60]!r} in line {number}, but a face was promised; export it again"
                ) from error
            values += [place - 1 if place > 0 else len(corners) + place for place in named]
            counts.append(len(named))
    try:
        places = np.array(corners or np.empty((0, 3)), np.float64)
    except ValueError as error:
        raise SensorError("holds a corner that is not three numbers; export it again") from error
    if places.shape[1:] != (3,):
        raise SensorError("holds a corner that is not three numbers; export it again")
    return places, np.array(values, np.int64), np.array(counts, np.int64)
