"""Good pixels of defective parts: what they may teach, and what nobody may learn from them.

Some data have no good part at all (every photograph of the road shows a crack), yet most of their
pixels are good. The measurements stay as they are, because a hole cut around a defect has edges
that no good part has; a variable ``learn`` says from which pixels a detector may learn and on
which it may be calibrated.
"""

import numpy as np
import xarray as xr

from mmdefect.scene import registered_in, sensors_of


def learnable(scene: xr.Dataset, margin: float) -> xr.Dataset:
    """Mark the pixels of a defective part that may be learnt from.

    Parameters
    ----------
    scene : Dataset
    margin : float
        Distance in pixels of the reference that a good pixel keeps from every marked defect.

    Returns
    -------
    Dataset
        With ``learn`` (y, x), bool: farther than the margin from ``defect``; nowhere when it is
        not known where the part is defective. Sensors on another grid are blind, because the
        truth is not drawn on theirs.
    """
    from scipy.ndimage import distance_transform_edt

    shape = scene.sizes["y"], scene.sizes["x"]
    if "defect" not in scene:
        learn = np.zeros(shape, dtype=bool)
    elif not scene["defect"].values.any():
        learn = np.ones(shape, dtype=bool)
    else:
        learn = distance_transform_edt(~scene["defect"].values) > margin
    marked = scene.assign(learn=(("y", "x"), learn))
    for name in set(sensors_of(scene)) - set(registered_in(scene)):
        marked[name] = marked[name].where(False)
        marked["valid"].loc[{"sensor": name}] = False
    return marked


def learn_mask(scene: xr.Dataset) -> np.ndarray:
    """Tell which pixels may be learnt from: all where nothing is said.

    Parameters
    ----------
    scene : Dataset

    Returns
    -------
    ndarray (y, x), bool
    """
    if "learn" in scene:
        return np.asarray(scene["learn"].values)
    return np.ones((scene.sizes["y"], scene.sizes["x"]), dtype=bool)


def keep_learnable(features: xr.DataArray, scene: xr.Dataset) -> xr.DataArray:
    """Forget the patches whose centre may not be learnt from.

    Parameters
    ----------
    features : DataArray (feature, y, x), float32
        y and x are the patches' centres in scene pixels.
    scene : Dataset

    Returns
    -------
    DataArray (feature, y, x), float32
        NaN in every feature of those patches.
    """
    if "learn" not in scene:
        return features
    rows = np.clip(np.rint(features["y"].values).astype(int), 0, scene.sizes["y"] - 1)
    columns = np.clip(np.rint(features["x"].values).astype(int), 0, scene.sizes["x"] - 1)
    kept = xr.DataArray(learn_mask(scene)[np.ix_(rows, columns)], dims=("y", "x"))
    return features.where(kept)
