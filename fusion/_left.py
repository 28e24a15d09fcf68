"""What a part's evidence would be if some of its sensors were missing.

How well a sensor can be foretold depends on which others are there, so evidence of all sensors
cannot be taken for that of some. Good parts that calibrate had all of them: only if they are asked
once more, without some, is the p-value of a part that lacks these a rank among its equals.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ._joint import Joint

_MOST_REGISTERED, _MOST_SENSORS = 4, 6


def left(
    joint: Joint,
    registered: Sequence[str],
    crossed: Mapping[tuple[str, ...], NDArray[np.float64]],
    said: NDArray[np.float64],
) -> dict[tuple[str, ...], NDArray[np.float64]]:
    """Give evidence (sensor,) for every set of sensors that may be left.

    Parameters
    ----------
    joint : Joint
    registered : sequence of str
        The sensors that the network looks at.
    crossed : mapping of tuple of str to float64 array (registered sensor,)
        What it says of them when only some of them are there, by these.
    said : float64 array (source, sensor)
        What every source says with all sensors.

    Returns
    -------
    dict of tuple of str to float64 array (sensor,)
        Of all of ``joint.sensors``, NaN where one is not there.
    """
    names, network = joint.sensors, joint.sources.index("transformer")
    columns = [names.index(name) for name in registered]
    told = {}
    for there in _sets(tuple(names), len(registered)):
        parts = np.where([name in there for name in names], said, np.nan)
        among = tuple(name for name in registered if name in there)
        if len(among) < len(columns):
            parts[network] = np.nan
            if among in crossed:
                parts[network, columns] = crossed[among]
        told[there] = joint.parts_weighed(parts)
    return told


def _sets(sensors: tuple[str, ...], registered: int) -> list[tuple[str, ...]]:
    """List the smaller sets of sensors; those that lack one where that would be too many."""
    every = registered <= _MOST_REGISTERED and len(sensors) <= _MOST_SENSORS
    sizes = range(len(sensors) - 1, 0 if every else len(sensors) - 2, -1)
    return [chosen for size in sizes for chosen in combinations(sensors, size)]
