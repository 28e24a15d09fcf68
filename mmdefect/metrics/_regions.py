"""Regions of a mask, told by what each of its pixels weighs.

Pixels that touch at a side or a corner belong together. One walk through the mask gives each pixel
a number that it shares with a neighbour before it; where a pixel joins two numbers, one becomes the
parent of the other [1]_. Of the four neighbours before it, left (W), above left (NW), above (N) and
above right (NE), only W or NW can be apart from NE, and only where N is not marked, because N
touches all the others.

References
----------
.. [1] K. Wu, E. Otoo, K. Suzuki, "Optimizing two-pass connected-component labeling algorithms",
   Pattern Analysis and Applications 12, 2009, 117-135.
"""

import numpy as np
from numpy.typing import NDArray

from mmdefect.jit import compiled, inlined


@compiled
def weigh(mask: NDArray[np.bool_], weight: NDArray[np.float64]) -> int:
    """Weigh each marked pixel by one over the size of its region.

    Parameters
    ----------
    mask : bool array (y, x)
    weight : float64 array (marked pixel,)
        Written to, in the order of ``mask``.

    Returns
    -------
    int
        Number of regions.
    """
    parents = np.zeros(len(weight) + 1, np.int32)
    numbers = np.empty(len(weight), np.int32)
    made = _number(mask, numbers, parents)
    sizes = np.zeros(made + 1, np.int64)
    for place in range(len(numbers)):
        root = _root(parents, numbers[place])
        numbers[place] = root
        sizes[root] += 1
    for place in range(len(numbers)):
        weight[place] = 1.0 / sizes[numbers[place]]
    return int(np.count_nonzero(sizes))


@compiled
def _number(mask: NDArray[np.bool_], numbers: NDArray[np.int32], parents: NDArray[np.int32]) -> int:
    """Count marked pixels' numbers, given from 1 on, and note which of them belong together."""
    width = mask.shape[1]
    before, own = np.zeros(width + 2, np.int32), np.zeros(width + 2, np.int32)
    made, place = 0, 0
    for y in range(len(mask)):
        for x in range(width):
            own[x + 1] = 0
            if not mask[y, x]:
                continue
            left = own[x] or before[x]
            found = before[x + 1] or left or before[x + 2]
            if not found:
                made += 1
                found = parents[made] = made
            elif left and before[x + 2] and not before[x + 1]:
                one, other = _root(parents, left), _root(parents, before[x + 2])
                parents[max(one, other)] = min(one, other)
            own[x + 1] = numbers[place] = found
            place += 1
        before, own = own, before
    return made


@inlined
def _root(parents: NDArray[np.int32], number: int) -> int:
    """Find what a number belongs to, and shorten the way there."""
    while parents[number] != number:
        parents[number] = parents[parents[number]]
        number = parents[number]
    return number
