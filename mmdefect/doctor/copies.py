"""Captures that are the same picture, exactly or nearly: copied, compressed again, made noisy.

A test part that was learnt from is no test. Good parts in one fixture look alike anyway, so two
pictures are called nearly the same only when they differ nowhere by more than a hundredth of what
the picture spans, averaged over a few pixels. Compressing a copy or adding a little noise changes
pixels, but hardly their averages; another part, or the same part put down again, changes both.

* Every frame leaves a hash and a signature of 32 × 32 numbers in a temporary file.
* Candidates are pairs whose signatures deviate alike from the mean of their sensor's; they are
  read again and compared pixel by pixel.
* Where unrelated pictures hardly differ by more than that either, agreement says nothing: there a
  copy must share the noise as well.
"""

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmdefect.captures import Capture
from mmdefect.doctor.findings import DOUBTFUL, GOOD_TO_KNOW, MOST_NAMED, WRONG, Finding, Seen
from mmdefect.plane import plane_of
from mmdefect.progress import track

SIDE = 32
LIKE = 0.9
TOLERANCE = 0.01
TELLING = 5.0
SHARED_NOISE = 0.15
MOST_CANDIDATES = 1000
_BLUR = 3.0
_KNOWN = 0.95
_BLOCK = 512
_PARTNERS = 3
_LEAST_FOR_MEAN = 6
_UNRELATED = 8
_RECORD = np.dtype([("sign", np.float16, (SIDE * SIDE,)), ("digest", "S16"), ("index", np.int32)])

Floats = NDArray[np.floating]
Read = Callable[[Capture, str], Floats | None]


class Pair(NamedTuple):
    """Two captures with one picture."""

    one: int
    other: int
    exact: bool


class CopiesCheck:
    """Looks for captures of one category that are the same picture to one sensor.

    Parameters
    ----------
    category, sensor : str
    captures : list of Capture
        Those that will be looked at.
    read : callable
        Gives a capture's frame of a sensor again, as one plane (y, x), or None.
    """

    def __init__(self, category: str, sensor: str, captures: list[Capture], read: Read) -> None:
        self.category = category
        self.sensor = sensor
        self._captures = captures
        self._places = {capture.id: index for index, capture in enumerate(captures)}
        self._read = read
        self._file = tempfile.TemporaryFile(prefix="mmdefect-signatures-")
        self._count = 0

    def look(self, seen: Seen) -> None:
        """Put the frame's signature on disk."""
        frame = seen.frames.get(self.sensor)
        if frame is None:
            return
        values = plane_of(frame)
        record = np.zeros(1, dtype=_RECORD)
        record["sign"][0] = signature(values)
        shape = repr(values.shape).encode()
        record["digest"][0] = hashlib.blake2b(
            shape + np.ascontiguousarray(frame.values).tobytes(), digest_size=16
        ).digest()
        record["index"][0] = self._places[seen.capture.id]
        self._file.write(record.tobytes())
        self._count += 1

    def findings(self) -> Iterator[Finding]:
        """Say which captures are copies, the gravest kinds first."""
        pairs = self._pairs()
        groups: dict[tuple[str, str, str], list[Pair]] = {}
        for pair in pairs:
            groups.setdefault(self._weighed(pair), []).append(pair)
        for (severity, what, why), found in groups.items():
            exact = sum(pair.exact for pair in found)
            yield Finding(
                severity,
                "copies",
                self.category,
                self.sensor,
                f"{len(found)} pairs of captures are the same picture {what} ({exact} exactly, "
                f"{len(found) - exact} nearly)",
                why,
                "remove one of each pair, or correct the label",
                len(found),
                tuple(
                    f"{self._captures[pair.one].id} = {self._captures[pair.other].id}"
                    for pair in found[:MOST_NAMED]
                ),
            )
        self._file.close()

    def _weighed(self, pair: Pair) -> tuple[str, str, str]:
        """Tell how grave a copy is."""
        one, other = self._captures[pair.one], self._captures[pair.other]
        if one.label != other.label:
            return WRONG, "under different labels", "one of the two labels is wrong"
        if (one.split == "test") != (other.split == "test"):
            return (
                WRONG,
                "on both sides of the split",
                "a test part that was learnt from is no test",
            )
        if one.kind != other.kind:
            return DOUBTFUL, "under different kinds", "it cannot be both; numbers per kind move"
        if one.series and one.series == other.series:
            return GOOD_TO_KNOW, "within one series", "one part counts more than others"
        return DOUBTFUL, "within a split", "one part counts twice, and intervals are too narrow"

    def _pairs(self) -> list[Pair]:
        """Find exact copies by hash, near ones by signature and then by their fine detail."""
        self._file.flush()
        self._file.seek(0)
        records = np.memmap(self._file, dtype=_RECORD, mode="r") if self._count else None
        if records is None:
            return []
        pairs = _equal(records)
        known = {(pair.one, pair.other) for pair in pairs}
        near = [pair for pair in _alike(records) if pair not in known][:MOST_CANDIDATES]
        telling = bool(near) and self._usual_difference(records["index"]) > TELLING * TOLERANCE
        for one, other in track(near, len(near), f"confirming copies of {self.sensor}"):
            pictures = self._pictures(one, other)
            if pictures is not None and same(*pictures, telling=telling):
                pairs.append(Pair(one, other, exact=False))
        return sorted(pairs)

    def _pictures(self, one: int, other: int) -> tuple[Floats, Floats] | None:
        """Read two frames again."""
        first, second = (self._read(self._captures[i], self.sensor) for i in (one, other))
        return None if first is None or second is None else (first, second)

    def _usual_difference(self, there: NDArray[np.integer]) -> float:
        """Tell by how much of their span pictures differ that have nothing to do with each other.

        The median over a few drawn pairs; 0 where there are too few.
        """
        rng = np.random.default_rng(len(there))
        found = []
        for _ in range(_UNRELATED):
            one, other = rng.choice(there, size=2, replace=False).tolist()
            pictures = self._pictures(one, other)
            if pictures is not None and pictures[0].shape == pictures[1].shape:
                found.append(largest_difference(*pictures))
        return float(np.median(found)) if len(there) >= _LEAST_FOR_MEAN and found else 0.0


def same(one: Floats, other: Floats, *, telling: bool = False) -> bool:
    """Tell whether two pictures are the same but for noise or compression.

    Parameters
    ----------
    one, other : float array (y, x)
        NaN where blind.
    telling : bool
        Whether unrelated pictures differ far more than the tolerance; else the noise must be
        shared too.

    Returns
    -------
    bool
    """
    if one.shape != other.shape:
        return False
    known = np.isfinite(one) & np.isfinite(other)
    if known.sum() < _KNOWN * max(np.isfinite(one).sum(), np.isfinite(other).sum(), 1):
        return False
    if largest_difference(one, other) > TOLERANCE:
        return False
    return telling or shared_noise(one, other) >= SHARED_NOISE


def largest_difference(one: Floats, other: Floats) -> float:
    """Give the largest difference of two pictures after averaging over a few pixels.

    Parameters
    ----------
    one, other : float array (y, x)
        Of one shape; NaN where blind.

    Returns
    -------
    float
        As a share of what the first spans, from its 0.1 % to its 99.9 % quantile; infinite when
        it spans nothing.
    """
    from scipy.ndimage import gaussian_filter

    known = np.isfinite(one) & np.isfinite(other)
    if not known.any():
        return float("inf")
    span = float(np.ptp(np.quantile(one[known], [0.001, 0.999])))
    difference = np.where(known, one.astype(np.float64) - other, 0.0)
    largest = float(np.abs(gaussian_filter(difference, _BLUR)).max())
    return largest / span if span > 0 else float("inf")


def shared_noise(one: Floats, other: Floats) -> float:
    """Correlate the noise of two pictures, where the part itself is even.

    Parameters
    ----------
    one, other : float array (y, x)
        Of one shape; NaN where blind.

    Returns
    -------
    float
        Between −1 and 1; 1 where neither has any noise.
    """
    from scipy.ndimage import gaussian_filter, gaussian_gradient_magnitude

    known = np.isfinite(one) & np.isfinite(other)
    middle = np.median(one[known])
    pictures = [np.where(known, picture, middle).astype(np.float64) for picture in (one, other)]
    slope = gaussian_gradient_magnitude(pictures[0] + pictures[1], _BLUR)
    even = known & (slope <= np.median(slope[known]))
    rim = int(3 * _BLUR)  # where averages reach over the border
    if min(even.shape) > 4 * rim:
        even[:rim] = even[-rim:] = even[:, :rim] = even[:, -rim:] = False
    noises = []
    for picture in pictures:
        noise = (picture - gaussian_filter(picture, _BLUR))[even]
        limit = 4 * float(np.median(np.abs(noise)))
        noise = np.clip(noise, -limit, limit) if limit > 0 else noise
        noises.append(noise - noise.mean())
    power = float(np.sqrt((noises[0] ** 2).sum() * (noises[1] ** 2).sum()))
    return float((noises[0] * noises[1]).sum()) / power if power > 0 else 1.0


def signature(values: NDArray[np.floating]) -> NDArray[np.float16]:
    """Reduce a picture to 32 × 32 numbers that say what is where, not how bright.

    Parameters
    ----------
    values : float array (y, x)
        NaN where blind.

    Returns
    -------
    float16 array (1024,)
        Cell means without their coarse part, of length 1; zeros for an even picture.
    """
    from scipy.ndimage import gaussian_filter

    known = np.isfinite(values)
    filled = np.where(known, values, np.median(values[known]) if known.any() else 0)
    rows = np.linspace(0, values.shape[0], SIDE + 1)[:-1].astype(int)
    columns = np.linspace(0, values.shape[1], SIDE + 1)[:-1].astype(int)
    sums = np.add.reduceat(np.add.reduceat(filled.astype(np.float64), rows, 0), columns, 1)
    ones = np.add.reduceat(np.add.reduceat(np.ones(values.shape), rows, 0), columns, 1)
    cells = sums / ones
    cells -= gaussian_filter(cells, 3.0, mode="nearest")
    length = float(np.linalg.norm(cells))
    return np.asarray(cells / length if length > 0 else cells, dtype=np.float16).ravel()


def _equal(records: np.ndarray) -> list[Pair]:
    """Pair every record with the first of the same hash."""
    order = np.argsort(records["digest"], kind="stable")
    pairs = []
    first = order[0]
    for before, after in pairwise(order):
        if records["digest"][before] != records["digest"][after]:
            first = after
            continue
        places = sorted((int(records["index"][first]), int(records["index"][after])))
        pairs.append(Pair(places[0], places[1], exact=True))
    return pairs


def _alike(records: np.ndarray) -> list[tuple[int, int]]:
    """Pair records whose signatures deviate alike from the mean, most alike first."""
    count = len(records)
    mean = np.zeros(SIDE * SIDE)
    for start in range(0, count, _BLOCK):
        mean += records["sign"][start : start + _BLOCK].astype(np.float64).sum(0)
    mean /= count
    if count < _LEAST_FOR_MEAN:  # the mean of a few is mostly themselves
        mean[:] = 0
    found: list[tuple[float, int, int]] = []
    for start in range(0, count, _BLOCK):
        rows = _deviations(records, start, mean)
        best: list[tuple[float, int, int]] = []
        for begin in range(0, count, _BLOCK):
            alike = rows @ _deviations(records, begin, mean).T
            own = np.arange(start, start + len(rows))[:, None]
            later = np.arange(begin, begin + alike.shape[1])[None, :] > own
            for i, j in np.argwhere((alike > LIKE) & later):
                best.append((float(alike[i, j]), start + int(i), begin + int(j)))
        found += _few_each(best)
    found.sort(reverse=True)
    index = records["index"]
    pairs = [(int(index[i]), int(index[j])) for _, i, j in found]
    return [(min(pair), max(pair)) for pair in pairs]


def _few_each(found: list[tuple[float, int, int]]) -> list[tuple[float, int, int]]:
    """Keep the best few partners of every record."""
    kept: dict[int, int] = {}
    chosen = []
    for alike, one, other in sorted(found, reverse=True):
        if kept.get(one, 0) < _PARTNERS:
            kept[one] = kept.get(one, 0) + 1
            chosen.append((alike, one, other))
    return chosen


def _deviations(records: np.ndarray, start: int, mean: np.ndarray) -> np.ndarray:
    """Give a block of signatures less their mean, each of length 1."""
    rows = records["sign"][start : start + _BLOCK].astype(np.float64) - mean
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(length > 1e-3, length, np.inf))
