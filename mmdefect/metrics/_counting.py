"""Loops over the pixels of score maps: keys that sort like scores, and how many lie above a key.

Chunks of defect-free keys are sorted, by NumPy in vector registers; then one walk through a chunk
and the ascending keys of defect pixels together counts what lies above each. It looks at eight
pixels at a time, and costs one look for every key and every eight pixels.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdefect.jit import compiled, inlined, reordered

_SIGN = np.uint32(1 << 31)
_ALL = np.uint32(0xFFFFFFFF)
_EXPONENT = np.uint32(0x7F800000)
_NOTHING = np.uint32(0)
_AT_ONCE = 8


@compiled
def keys_of(bits: NDArray[np.uint32], keys: NDArray[np.uint32]) -> bool:
    """Turn the bits of float32 scores into integers of the same order.

    Parameters
    ----------
    bits, keys : uint32 array (pixel,)
        The second is written to.

    Returns
    -------
    bool
        Whether all scores are finite; else the keys mean nothing.
    """
    odd = 0
    for place in range(len(bits)):
        own = bits[place]
        odd += (own & _EXPONENT) == _EXPONENT
        own = _NOTHING if own == _SIGN else own  # minus zero is zero
        keys[place] = own ^ (_ALL if own & _SIGN else _SIGN)
    return odd == 0


@compiled
def keys_outside(
    bits: NDArray[np.uint32],
    marked: NDArray[np.bool_],
    floor: np.uint32,
    keys: NDArray[np.uint32],
) -> tuple[int, bool]:
    """Turn the scores of pixels outside a mask into keys, row by row, and drop those below a floor.

    Parameters
    ----------
    bits : uint32 array (y, x)
        Of the scores.
    marked : bool array (y, x)
    floor : uint32
        The lowest key that is kept; 0 keeps all.
    keys : uint32 array (pixel,)
        At least as many as are not marked; written to.

    Returns
    -------
    int
        Number of keys written.
    bool
        Whether all these scores are finite; else the keys mean nothing.
    """
    size, width = np.uint64(0), np.uint64(bits.shape[1])
    row, own = np.empty(width, np.uint32), np.empty(width, np.uint32)
    finite = True
    for y in range(len(bits)):
        inside = 0
        for x in range(width):
            inside += marked[y, x]
        left = width - np.uint64(inside)
        if inside:
            _unmarked(bits[y], marked[y], row)
        scores = row[:left] if inside else bits[y]
        if floor:
            finite &= keys_of(scores, own)
            size += _not_below(own[:left], floor, keys[size:])
        else:
            finite &= keys_of(scores, keys[size : size + left])
            size += left
    return int(size), finite


@inlined
def _unmarked(bits: NDArray[np.uint32], marked: NDArray[np.bool_], row: NDArray[np.uint32]) -> None:
    """Gather what is not marked."""
    left = np.uint64(0)
    for x in range(np.uint64(len(bits))):
        if not marked[x]:
            row[left] = bits[x]
            left += np.uint64(1)


@inlined
def _not_below(keys: NDArray[np.uint32], floor: np.uint32, kept: NDArray[np.uint32]) -> np.uint64:
    """Gather keys that are not below a floor, without a branch that would be guessed wrongly."""
    size = np.uint64(0)
    for place in range(np.uint64(len(keys))):
        key = keys[place]
        kept[size] = key
        size += np.uint64(key >= floor)
    return size


@compiled
def tally_outside(
    bits: NDArray[np.uint32],
    marked: NDArray[np.bool_],
    step: int,
    half: int,
    buckets: NDArray[np.int64],
) -> None:
    """Count some finite scores outside a mask by the upper bits of their keys.

    Parameters
    ----------
    bits : uint32 array (y, x)
        Of the scores.
    marked : bool array (y, x)
    step : int
        One row in so many is looked at, and one pixel in so many of it.
    half : int
        Number of bits that are left out.
    buckets : int64 array (bucket,)
        Added to.
    """
    for y in range(0, bits.shape[0], step):
        for x in range(0, bits.shape[1], step):
            own = bits[y, x]
            if not marked[y, x] and own & _EXPONENT != _EXPONENT:
                key = own ^ (_ALL if own & _SIGN else _SIGN)
                buckets[key >> np.uint32(half)] += step * step


@compiled
def count_above(
    pixels: NDArray[np.uint32],
    keys: NDArray[np.uint32],
    above: NDArray[np.int64],
    reached: NDArray[np.int64],
) -> None:
    """Count the pixels above each key, and those at it or above.

    Parameters
    ----------
    pixels : uint32 array (pixel,)
        Ascending.
    keys : uint32 array (key,)
        Ascending, all different.
    above, reached : int64 array (key,)
        Added to.
    """
    place, size = 0, len(pixels)
    for number in range(len(keys)):
        key = keys[number]
        while place + _AT_ONCE <= size:
            below = 0
            for step in range(_AT_ONCE):
                below += pixels[place + step] < key
            place += below
            if below < _AT_ONCE:
                break
        while place < size and pixels[place] < key:
            place += 1
        reached[number] += size - place
        while place < size and pixels[place] == key:
            place += 1
        above[number] += size - place


@reordered
def ramps(
    above: NDArray[np.int64], reached: NDArray[np.int64], height: NDArray[Any], limit: float
) -> float:
    """Add up areas under ramps: ``mmdefect.metrics._sweep.ramp_area`` times a height each.

    Parameters
    ----------
    above, reached : int64 array (step,)
        Where each ramp starts and ends.
    height : int64 or float64 array (step,)
    limit : float
        Where the areas end.

    Returns
    -------
    float
    """
    total = 0.0
    for step in range(len(above)):
        start, stop = float(above[step]), float(reached[step])
        inside = max(limit - start, 0.0)
        cut = inside * inside / (2.0 * max(stop - start, 1.0))
        total += height[step] * (limit - (start + stop) / 2.0 if stop <= limit else cut)
    return total


@reordered
def precisions(
    found: NDArray[np.int64], reached: NDArray[np.int64], height: NDArray[np.int64]
) -> float:
    """Add up the precision at each step, ``found`` of all pixels so far, times a height each.

    Parameters
    ----------
    found, reached : int64 array (step,)
        Defect pixels and defect-free ones so far.
    height : int64 array (step,)

    Returns
    -------
    float
    """
    total = 0.0
    for step in range(len(found)):
        total += height[step] * (float(found[step]) / float(found[step] + reached[step]))
    return total
