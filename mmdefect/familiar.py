"""Whether a scene can be judged at all: of the sensors and the size that were learnt."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from mmdefect.errors import SceneError
from mmdefect.scene import sensors_of


def check_scene(scene: xr.Dataset, sensors: Sequence[str], size: tuple[int, int]) -> None:
    """Refuse a scene of other sensors or another size than what was learnt.

    Parameters
    ----------
    scene : Dataset
    sensors : sequence of str
        Those that were learnt.
    size : (int, int)
        Height and width that were learnt, in pixels.

    Raises
    ------
    SceneError
    """
    there = sensors_of(scene)
    lacking = [name for name in sensors if name not in there]
    if lacking:
        raise SceneError(
            f"the scene has the sensors {', '.join(there)}, but {', '.join(sensors)} were learnt; "
            f"give {lacking[0]!r} too, blind where it measured nothing "
            "(mmdefect.scene.blank_frame)"
        )
    found = (scene.sizes["y"], scene.sizes["x"])
    if found != size:
        raise SceneError(
            f"the scene has {found[0]}x{found[1]} pixels, but {size[0]}x{size[1]} were learnt; "
            "bring it onto that grid, or fit anew"
        )


def usual_pixel(prediction: xr.Dataset) -> float:
    """Give the median of a part's fused map; NaN where there is none.

    Parameters
    ----------
    prediction : Dataset

    Returns
    -------
    float
    """
    fused = prediction.get("anomaly_map")
    known = np.empty(0) if fused is None else fused.values[np.isfinite(fused.values)]
    return float(np.median(known)) if known.size else float("nan")
