"""Compiled: one picture brought onto another's grid by a warp, bilinearly."""

from typing import Any

import numpy as np

from mmdefect.jit import compiled

_SLACK = 1e-3


@compiled
def bring(
    band: int, start: int, stop: int, matrix: Any, frame: Any, seen: Any, out: Any, known: Any
) -> None:
    """Sample ``frame`` (y, x) where the pixels of ``out`` (y, x) lie on it.

    ``matrix`` (3, 3) maps column, row, 1 of ``out`` to those of ``frame``. Outside the frame the
    rim goes on; ``known`` (y, x) says where all pixels that count were ``seen``.
    """
    rows, columns = frame.shape
    for i in range(start, stop):
        for j in range(out.shape[1]):
            depth = matrix[2, 0] * j + matrix[2, 1] * i + matrix[2, 2]
            column = (matrix[0, 0] * j + matrix[0, 1] * i + matrix[0, 2]) / depth
            row = (matrix[1, 0] * j + matrix[1, 1] * i + matrix[1, 2]) / depth
            known[i, j] = False
            out[i, j] = 0.0
            if not (depth > 0 and np.abs(column) < 1e6 and np.abs(row) < 1e6):
                continue
            inside = (
                column >= -_SLACK
                and row >= -_SLACK
                and column <= columns - 1 + _SLACK
                and row <= rows - 1 + _SLACK
            )
            column, row = min(max(column, 0.0), columns - 1.0), min(max(row, 0.0), rows - 1.0)
            left, top = min(int(column), columns - 2), min(int(row), rows - 2)
            across, down = column - left, row - top
            one = frame[top, left] + across * (frame[top, left + 1] - frame[top, left])
            two = frame[top + 1, left] + across * (frame[top + 1, left + 1] - frame[top + 1, left])
            out[i, j] = one + down * (two - one)
            known[i, j] = inside and (
                (seen[top, left] or (across > 1 - _SLACK or down > 1 - _SLACK))
                and (seen[top, left + 1] or (across < _SLACK or down > 1 - _SLACK))
                and (seen[top + 1, left] or (across > 1 - _SLACK or down < _SLACK))
                and (seen[top + 1, left + 1] or (across < _SLACK or down < _SLACK))
            )
