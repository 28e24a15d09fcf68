"""What about a sensor's patches is strange: their distances split by groups of features.

The squared distance between a patch and the nearest good one is a sum over features. Split into
groups (edges, levels, the stages of a network) it says *what* differs, exactly and for the price
of a subtraction. It says nothing about which pixel made a feature differ: that is what
``gradients`` and ``occlusion`` ask.
"""

import numpy as np
import xarray as xr

from mmdefect.contracts import Fusion
from mmdefect.errors import MmdefectError
from mmdefect.explain._channels import channel_map, memories_of

__all__ = ["Channels"]


class Channels:
    """Exact shares of groups of features in the sensors' maps; for memory banks."""

    explains = ("sensor_map",)

    def attribute(self, fusion: Fusion, prediction: xr.Dataset, scene: xr.Dataset) -> xr.Dataset:
        """Split the sensors' maps.

        Parameters
        ----------
        fusion : Fusion
            Of detectors that keep good patches.
        prediction : Dataset
        scene : Dataset

        Returns
        -------
        Dataset
            ``channel_map`` (channel, y, x), summing over the channels of a sensor
            (``channel_sensor``) to its detector's own map, which is ``sensor_map`` where good
            parts taught no places; ``attribution_map`` (sensor, y, x), that sum, NaN for a sensor
            that cannot be explained so; ``attribution`` (sensor): the sensors' scores.

        Raises
        ------
        MmdefectError
            When no detector keeps good patches.
        """
        split = channel_map(memories_of(fusion, scene))
        if split is None:
            raise MmdefectError(
                f"{fusion!r} keeps no good patches of a sensor that is there, so that no distance "
                "can be split; fit with the detector 'memory_bank', or ask 'occlusion'"
            )
        whole = xr.full_like(prediction["sensor_map"], np.nan)
        for name in dict.fromkeys(split["channel_sensor"].values.tolist()):
            own = split.values[split["channel_sensor"].values == name]
            whole.loc[{"sensor": name}] = own.sum(0)
        return xr.Dataset(
            {
                "channel_map": split,
                "attribution_map": whole,
                "attribution": prediction["sensor_score"],
            }
        )
