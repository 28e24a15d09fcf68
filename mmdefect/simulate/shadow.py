"""Who stands in whose light: a march across the height map towards a source."""

import numpy as np

from mmdefect.simulate.truth import Map, as_map

STEPS_MM = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 3.75, 4.5, 5.5, 6.5)


def shadow_margin(height: Map, pitch: float, towards: tuple[float, float, float]) -> Map:
    """Return by how much the surroundings rise above the ray to a far source.

    Parameters
    ----------
    height : Map (y, x), mm
        The surface.
    pitch : float, mm
        Distance between its pixels.
    towards : tuple of float
        Unit vector to the source: x, y, and z up.

    Returns
    -------
    Map (y, x), mm
        Positive in shadow; negative by the height that is still free.
    """
    x, y, z = towards
    flat = float(np.hypot(x, y))
    reach = int(np.ceil(STEPS_MM[-1] / pitch)) + 1
    rows, columns = height.shape
    padded = np.pad(height, reach, mode="edge")
    highest = np.full_like(height, -np.inf)
    for step in STEPS_MM:
        right, down = (round(step * part / flat / pitch) for part in (x, y))
        if right == down == 0:
            continue
        rise = float(np.hypot(right, down)) * pitch * z / flat
        ahead = padded[reach + down : reach + down + rows, reach + right : reach + right + columns]
        np.maximum(highest, ahead - np.float32(rise), out=highest)
    return as_map(highest - height)
