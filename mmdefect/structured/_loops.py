"""Loops over pixels: frames into sums, sums into positions on the projector.

Sums are kept per pixel and frames come one group at a time, so that the same loops serve a stack
in memory, taken in strips of rows that stay in the processor's cache, and one that is streamed.
"""

from typing import Any

import numpy as np

from mmdefect.jit import compiled, inlined

DARK, SATURATED, UNSURE, OUTSIDE, LONELY = 1, 2, 4, 8, 16
NO_PRIOR, STRIPES, REMAINDERS = 0, 1, 2
_SLACK = 1.0
_TORN = np.float32(0.3)
_CLEAR = np.float32(4 * np.sqrt(2))


@compiled
def add_reference(band: int, start: int, stop: int, frames: Any, amplitude: Any) -> None:
    """Take a white and a black frame (2, y, x) in."""
    for y in range(start, stop):
        for x in range(frames.shape[2]):
            contrast = np.float32(frames[0, y, x]) - np.float32(frames[1, y, x])
            amplitude[y, x] = max(amplitude[y, x], contrast)


@compiled
def add_stripe(
    band: int, start: int, stop: int, frames: Any, gray: bool, finest: bool, words: Any,
    amplitude: Any, margins: Any, peak: Any,
) -> None:  # fmt: skip
    """Take a stripe and its inverse (2, y, x) in.

    ``margins`` (3, y, x) keeps the least and the second least difference of all stripes but the
    finest, and that of the finest. A stripe is lost only where its inverse saturates too.
    """
    for y in range(start, stop):
        for x in range(frames.shape[2]):
            one, two = frames[0, y, x], frames[1, y, x]
            difference = np.float32(one) - np.float32(two)
            bit = np.int32(difference > 0)
            if gray:
                bit ^= words[y, x] & 1
            words[y, x] = words[y, x] << 1 | bit
            size = abs(difference)
            amplitude[y, x] = max(amplitude[y, x], size)
            peak[y, x] = max(peak[y, x], min(one, two))
            if finest:
                margins[2, y, x] = size
            else:
                margins[1, y, x] = min(margins[1, y, x], max(margins[0, y, x], size))
                margins[0, y, x] = min(margins[0, y, x], size)


@compiled
def add_fringe(
    band: int, start: int, stop: int, frames: Any, cosines: Any, sines: Any, across: Any,
    along: Any, peak: Any,
) -> None:  # fmt: skip
    """Take steps of a fringe (frame, y, x) in: add them up, each turned by its shift."""
    count, columns = frames.shape[0], frames.shape[2]
    for y in range(start, stop):
        for k in range(count):
            cosine, sine = cosines[k], sines[k]
            for x in range(columns):
                value = frames[k, y, x]
                across[y, x] += cosine * np.float32(value)
                along[y, x] += sine * np.float32(value)
                peak[y, x] = max(peak[y, x], value)


@inlined
def turns(sine: Any, cosine: Any) -> Any:
    """Give the angle of a vector in turns, 0 to 1, to 2e-7.

    Notes
    -----
    A polynomial of the smaller over the larger component, fitted to the arcus tangent by least
    squares at Chebyshev points; three times as fast as the library's function.
    """
    one, two = abs(sine), abs(cosine)
    large = max(max(one, two), np.float32(1e-20))
    q = min(one, two) / large
    s = q * q
    turn = q * _polynomial(s)
    turn = np.float32(0.25) - turn if one > two else turn
    turn = np.float32(0.5) - turn if cosine < 0 else turn
    return np.float32(1) - turn if sine < 0 else turn


@inlined
def _polynomial(s: Any) -> Any:
    """Give arctan(q) / (2 π q) for s = q²."""
    high = np.float32(0.0133278827) + s * (np.float32(-0.00587259924) + s * np.float32(0.00124546))
    low = np.float32(0.0316397992) + s * (np.float32(-0.0214547319) + s * high)
    return np.float32(0.159154836) + s * (np.float32(-0.0530405724) + s * low)


@inlined
def _least_other(margins: Any, y: int, x: int) -> Any:
    """Give the second least difference of all stripes."""
    return min(max(margins[0, y, x], margins[2, y, x]), margins[1, y, x])


@compiled
def locate_cells(
    band: int, start: int, stop: int, words: Any, amplitude: Any, margins: Any, cell: Any,
    gray: bool, sure: Any, noise: Any, place: Any, spread: Any, strength: Any, flags: Any,
) -> None:  # fmt: skip
    """Tell positions from stripes alone.

    Within a cell of a Gray code the finest stripe and one other have an edge each at its two ends;
    their differences vanish there, and share the cell between them.
    """
    for y in range(start, stop):
        for x in range(words.shape[1]):
            word, height = words[y, x], amplitude[y, x]
            least, fine = margins[0, y, x], margins[2, y, x]
            share = np.float32(0.5)
            if gray and np.isfinite(least):
                total = max(least + fine, np.float32(1e-3))
                share = (fine if word & 1 else least) / total
                spread[y, x] = cell * noise / total
            else:
                spread[y, x] = cell * np.float32(0.2887)
            place[y, x] = (np.float32(word) + share) * cell - np.float32(0.5)
            strength[y, x] = height * np.float32(0.5)
            doubtful = _least_other(margins, y, x) if gray else min(least, fine)
            if not doubtful > max(sure * height, _CLEAR * noise):
                flags[y, x] |= UNSURE


@inlined
def _started(
    prior: int, positions: Any, period: Any, words: Any, cell: Any, runs: Any, per_px: int,
    y: int, x: int,
) -> Any:  # fmt: skip
    """Give where to start: the middle of a cell, or the run that remainders tell."""
    if prior == STRIPES:
        return (np.float32(words[y, x]) + np.float32(0.5)) * cell - np.float32(0.5)
    one = positions[0] - positions[1] + period[1]
    row = min(max(int(one * per_px + np.float32(0.5)), 0), runs.shape[0] - 1)
    column = 0
    if runs.shape[1] > 1:
        two = positions[0] - positions[2] + period[2]
        column = min(max(int(two * per_px + np.float32(0.5)), 0), runs.shape[1] - 1)
    return positions[0] + period[0] * np.float32(runs[row, column])


@inlined
def _nearest(target: Any, position: Any, period: Any) -> Any:
    """Give the place that is whole periods from a position and nearest to a target."""
    return position + period * np.floor((target - position) / period + np.float32(0.5))


@inlined
def _unwrapped(
    prior: int, guess: Any, positions: Any, period: Any, factors: Any, lengths: Any,
    lowest: Any,
) -> Any:  # fmt: skip
    """Follow the chain from coarse to fine; without a prior its first link is where to start.

    Gives the position, and whether a link was nearly half a turn from the one before.
    """
    torn = False
    for link in range(len(lengths)):
        phase = np.float32(0)
        for i in range(len(period)):
            phase += factors[link, i] * positions[i] / period[i]
        length = lengths[link]
        found = length * (phase - np.floor(phase))
        if link == 0 and prior == NO_PRIOR:
            guess = found - length * np.floor((found - lowest) / length)
        else:
            place = _nearest(guess, found, length)
            torn |= prior == NO_PRIOR and abs(place - guess) > _TORN * length
            guess = place
    return guess, torn


@inlined
def _agreed(guess: Any, positions: Any, period: Any, swings: Any) -> Any:
    """Weigh all fringes: give the mean position, the weights' sum, the worst phase off, turns."""
    total = weights = np.float32(0)
    for i in range(len(period)):
        weight = (swings[i] / period[i]) ** 2
        total += weight * _nearest(guess, positions[i], period[i])
        weights += weight
    weights = max(weights, np.float32(1e-12))
    middle = total / weights
    off = np.float32(0)
    for i in range(len(period)):
        off = max(off, abs(_nearest(guess, positions[i], period[i]) - middle) / period[i])
    return middle, weights, off


@compiled
def locate_fringes(
    band: int, start: int, stop: int, across: Any, along: Any, period: Any, factors: Any,
    lengths: Any, prior: int, words: Any, amplitude: Any, margins: Any, cell: Any, runs: Any,
    per_px: int, extent: Any, steps: int, sure: Any, apart: Any, noise: Any, place: Any,
    spread: Any, strength: Any, flags: Any,
) -> None:  # fmt: skip
    """Tell positions from fringes, unwrapped by stripes, by remainders or by one another."""
    positions, swings = np.empty(len(period), np.float32), np.empty(len(period), np.float32)
    lowest = -(lengths[0] - extent) / 2
    for y in range(start, stop):
        for x in range(words.shape[1]):
            for i in range(len(period)):
                c, s = across[i, y, x], along[i, y, x]
                positions[i] = period[i] * turns(s, c)
                swings[i] = np.sqrt(c * c + s * s)
            guess = np.float32(0)
            if prior != NO_PRIOR:
                guess = _started(prior, positions, period, words, cell, runs, per_px, y, x)
            told, torn = _unwrapped(prior, guess, positions, period, factors, lengths, lowest)
            middle, weights, off = _agreed(told, positions, period, swings)
            if prior == STRIPES:
                doubtful = abs(guess - middle) > np.float32(0.4) * period[0]
                weak = not _least_other(margins, y, x) > max(sure * amplitude[y, x], _CLEAR * noise)
                off = np.float32(1) if doubtful or weak else off
            place[y, x] = middle
            strength[y, x] = np.float32(2.0 / steps) * swings[0]
            spread[y, x] = noise * np.sqrt(np.float32(steps / 2) / weights) / np.float32(2 * np.pi)
            if torn or not off < apart:
                flags[y, x] |= UNSURE
            if not (middle > -_SLACK and middle < extent):
                flags[y, x] |= OUTSIDE


@compiled
def judge(
    band: int, start: int, stop: int, peak: Any, strength: Any, level: int, weakest: Any,
    flags: Any,
) -> None:  # fmt: skip
    """Mark what is too dark, and what saturated."""
    for y in range(start, stop):
        for x in range(peak.shape[1]):
            if not strength[y, x] >= weakest:
                flags[y, x] |= DARK
            if peak[y, x] >= level:
                flags[y, x] |= SATURATED


@compiled
def keep_better(
    band: int, start: int, stop: int, new: Any, new_flags: Any, kept: Any, flags: Any
) -> None:
    """Take a pixel from another exposure (map, y, x) where that is better.

    The last map is the modulation. Better is who did not saturate; among those the stronger.
    """
    for y in range(start, stop):
        for x in range(flags.shape[1]):
            burnt, burnt_kept = new_flags[y, x] & SATURATED, flags[y, x] & SATURATED
            stronger = new[-1, y, x] > kept[-1, y, x]
            if burnt < burnt_kept or (burnt == burnt_kept and stronger == (burnt == 0)):
                flags[y, x] = new_flags[y, x]
                for i in range(new.shape[0]):
                    kept[i, y, x] = new[i, y, x]
