"""Codes: which frames a projector shows, so that a pixel can tell where its light came from.

* ``gray``, ``binary``: stripes and their inverses count cells of the projector; with a period, a
  cell is half of it and N shifted fringes measure within. Of a Gray code neighbouring cells differ
  in one stripe, so that a wrong decision at an edge costs one cell and no more [1]_.
* ``temporal``: the coarsest fringe spans the projector; each finer one is unwrapped by the one
  before [2]_.
* ``heterodyne``: beats of nearly equal fringes span the projector [3]_.
* ``number``: fringes whose periods are coprime multiples of one unit; the differences of their
  positions within the period tell the fringe, as the Chinese remainder theorem does [4]_.

References
----------
.. [1] Geng: Structured-light 3D surface imaging: a tutorial, Advances in Optics and Photonics 3,
   2011.
.. [2] Huntley, Saldner: Temporal phase-unwrapping algorithm for automated interferogram analysis,
   Applied Optics 32, 1993.
.. [3] Towers, Towers, Jones: Absolute fringe order calculation using optimised multi-frequency
   selection in full-field profilometry, Optics and Lasers in Engineering 43, 2005.
.. [4] Gushov, Solodkin: Automatic processing of fringe patterns in integer interferometers, Optics
   and Lasers in Engineering 14, 1991.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

from mmdefect.errors import SensorError

CODES = ("gray", "binary", "temporal", "heterodyne", "number")
AXES = ("column", "row")
MOST_SIDE = 1 << 14
MOST_PERIODS = 6
MOST_STEPS = 64
MOST_REMAINDER_PX = 64
_LADDER = 9.0
_MARGIN = 0.03
_MOST_FACTOR = 128
_SPREAD = 1.4
_LEAST_UNIT_PX = 0.5


@dataclass(frozen=True)
class Group:
    """Frames that are decoded together: a stripe and its inverse, or the steps of a fringe.

    Parameters
    ----------
    kind : {"reference", "stripe", "fringe"}
        The reference is a white and a black frame.
    axis : str
        Empty for the reference.
    index : int
        Of a stripe's bit, 0 for the finest; of a fringe's period.
    first, count : int
        Frames, in the stack's order.
    """

    kind: Literal["reference", "stripe", "fringe"]
    axis: str
    index: int
    first: int
    count: int


@dataclass(frozen=True)
class Code:
    """What is projected.

    Parameters
    ----------
    name : {"gray", "binary", "temporal", "heterodyne", "number"}
    size : (int, int), px
        The projector's columns and rows.
    axes : tuple of str
        ``column``, ``row`` or both: what a pixel learns.
    periods : tuple of float, px
        Of the fringes, the finest first; none for stripes alone, whose cells are then pixels.
    steps : int
        Shifts of every fringe by a whole period together.
    gamma : float, 1
        The projector's, undone in the patterns; 1 leaves them as they are.
    references : bool
        Whether a white and a black frame come first.

    Raises
    ------
    SensorError
        When the numbers make no code.
    """

    name: str
    size: tuple[int, int]
    axes: tuple[str, ...] = ("column",)
    periods: tuple[float, ...] = (18.0,)
    steps: int = 8
    gamma: float = 1.0
    references: bool = True

    def __post_init__(self) -> None:
        """Refuse what makes no code, then check that it spans the projector."""
        for found, promised, fits in self._promises():
            if not fits:
                raise SensorError(f"{found}, but {promised} was promised; correct the code")
        if self.name == "number":
            unit, factors = common_unit(self.periods) or (0.0, ())
            spanned = unit * math.prod(factors[:3]) - max(self.periods) - 2
        elif self.name == "heterodyne":
            from mmdefect.structured.unwrap import beats

            spanned = max(period for _, period in beats(self.periods))
        else:
            spanned = math.inf if self.striped else max(self.periods)
        if spanned < self.extent:
            raise SensorError(
                f"the periods {self.periods} tell {spanned:g} px apart, but {self.extent} px were "
                "promised by the projector's size; leave all but the first out to have them chosen"
            )

    def _promises(self) -> Iterator[tuple[str, str, bool]]:
        """Give what was found, what was promised, and whether the two agree."""
        fringes = len(self.periods)
        yield f"the code is {self.name!r}", f"one of {', '.join(CODES)}", self.name in CODES
        yield (
            f"size is {self.size!r}",
            f"[columns, rows] up to {MOST_SIDE}",
            len(self.size) == 2 and all(1 < side <= MOST_SIDE for side in self.size),
        )
        yield (
            f"axes are {self.axes!r}",
            "column, row or both",
            bool(self.axes) and self.axes in (*combinations(AXES, 1), AXES),
        )
        least = {"gray": 0, "binary": 0, "temporal": 1}.get(self.name, 2)
        yield (
            f"{fringes} periods are given",
            f"{least} to {MOST_PERIODS}",
            least <= fringes <= MOST_PERIODS,
        )
        longest = MOST_REMAINDER_PX if self.name == "number" else 4 * MOST_SIDE
        yield (
            f"the periods are {self.periods!r}",
            f"2 to {longest} px, rising",
            all(2 <= period <= longest for period in self.periods)
            and all(a < b for a, b in zip(self.periods, self.periods[1:], strict=False)),
        )
        whole = self.name != "number" or common_unit(self.periods) is not None
        yield f"the periods are {self.periods!r}", "coprime multiples of one unit", whole
        yield f"steps is {self.steps!r}", f"3 to {MOST_STEPS}", 3 <= self.steps <= MOST_STEPS
        yield f"gamma is {self.gamma!r}", "0.1 to 10", 0.1 <= self.gamma <= 10

    @property
    def extent(self) -> int:
        """The longest side that is counted, px."""
        return max(self.side(axis) for axis in self.axes)

    def side(self, axis: str) -> int:
        """Count the projector's pixels along an axis."""
        return self.size[AXES.index(axis)]

    @property
    def striped(self) -> bool:
        """Whether stripes count cells."""
        return self.name in ("gray", "binary")

    @property
    def cell(self) -> float:
        """Width of a cell of the stripes, px."""
        return self.periods[0] / 2 if self.periods else 1.0

    def bits(self, axis: str) -> int:
        """How many stripes count the cells along an axis; 0 where none do."""
        if not self.striped:
            return 0
        return max(math.ceil(math.log2(math.ceil(self.side(axis) / self.cell))), 1)

    def groups(self) -> Iterator[Group]:
        """Go through the frames in the order in which they are shown: coarse stripes first."""
        first = 0
        if self.references:
            yield Group("reference", "", 0, 0, 2)
            first = 2
        for axis in self.axes:
            for bit in reversed(range(self.bits(axis))):
                yield Group("stripe", axis, bit, first, 2)
                first += 2
            for index in reversed(range(len(self.periods))):
                yield Group("fringe", axis, index, first, self.steps)
                first += self.steps

    def __len__(self) -> int:
        """Count the frames of one exposure."""
        return sum(group.count for group in self.groups())


def complete(name: str, size: tuple[int, int], periods: Sequence[float], **rest: Any) -> Code:
    """Make a code, choosing the periods that a single one leaves open.

    Parameters
    ----------
    name, size
        As for ``Code``.
    periods : sequence of float, px
        All of them, or one: the finest, of ``number`` the longest.
    **rest
        As for ``Code``.

    Returns
    -------
    Code
    """
    told = tuple(sorted(float(period) for period in periods))
    if len(told) == 1 and name in ("temporal", "heterodyne", "number"):
        sides = [size[AXES.index(axis)] for axis in rest.get("axes", ("column",)) if axis in AXES]
        extent = max([*sides, 2])
        told = {"temporal": _ladder, "heterodyne": _beating, "number": _remainders}[name](
            told[0], extent
        )
    return Code(name, tuple(size), periods=told, **rest)  # type: ignore[arg-type]


def _ladder(finest: float, extent: int) -> tuple[float, ...]:
    """Rise to the whole projector in equal ratios of at most nine."""
    whole = extent * (1 + 2 * _MARGIN)
    rungs = max(math.ceil(math.log(max(whole / finest, 1.0)) / math.log(_LADDER) - 1e-9), 1)
    ratio = (whole / finest) ** (1 / rungs)
    return tuple(finest * ratio**rung for rung in range(rungs + 1))


def _beating(finest: float, extent: int) -> tuple[float, ...]:
    """Take n, n - 1 and n - √n fringes: beats of 1 and √n of them step evenly to the finest."""
    whole = extent * (1 + 2 * _MARGIN)
    count = max(math.ceil(whole / finest), 4)
    return tuple(whole / (count - less) for less in (0, 1, round(math.sqrt(count))))


def _remainders(longest: float, extent: int) -> tuple[float, ...]:
    """Choose coprime multiples of the longest unit, so that fringes differ most clearly."""
    whole = extent * (1 + 2 * _MARGIN)
    fitting = [
        (a, b, c)
        for a, b, c in combinations(range(2, _MOST_FACTOR), 3)
        if longest >= _LEAST_UNIT_PX * c
        and c <= _SPREAD * a
        and (a * b - 1) * longest >= whole
        and _coprime((a, b, c))
    ]
    if not fitting:
        raise SensorError(
            f"fringes of {longest:g} px at most cannot tell {extent} px apart by remainders; ask "
            "for longer ones"
        )
    factors = min(fitting, key=lambda told: (told[2], -told[0]))
    return tuple(longest * factor / factors[2] for factor in factors)


def common_unit(periods: Sequence[float]) -> tuple[float, tuple[int, ...]] | None:
    """Find the longest unit of which periods are coprime multiples.

    Parameters
    ----------
    periods : sequence of float, px

    Returns
    -------
    float, tuple of int
        The unit in px and the multiples; None where there is none that is long enough.
    """
    for first in range(2, _MOST_FACTOR):
        unit = periods[0] / first
        factors = tuple(round(period / unit) for period in periods)
        exact = all(
            abs(factor * unit - period) < 1e-6 * period
            for factor, period in zip(factors, periods, strict=True)
        )
        if exact and _coprime(factors):
            return unit, factors
    return None


def _coprime(factors: Sequence[int]) -> bool:
    """Tell whether no two of them share a factor."""
    return all(math.gcd(a, b) == 1 for a, b in combinations(factors, 2))
