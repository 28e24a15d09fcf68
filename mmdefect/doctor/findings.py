"""What an examination says: findings, each with its weight, its reason and what to do.

A number alone ("invalid share .31") leaves the reader to guess whether it matters. So every
finding says what was found, why it matters to a detector that learns good parts, and what to do.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import xarray as xr

from mmdefect.captures import Capture

WRONG, DOUBTFUL, GOOD_TO_KNOW = "wrong", "doubtful", "good to know"
SEVERITIES = (WRONG, DOUBTFUL, GOOD_TO_KNOW)
CHECKS = (
    "split",
    "series",
    "sensors",
    "files",
    "units",
    "invalid",
    "saturation",
    "steps",
    "exposure",
    "truth",
    "registration",
    "bump",
    "copies",
    "drift",
)
MOST_NAMED = 10


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Parameters
    ----------
    severity : {"wrong", "doubtful", "good to know"}
        ``wrong``: training on these data would learn or measure something else than it says.
    check : str
        The check's name, as in ``docs/doctor.md``.
    category, sensor : str
        Where; empty when it concerns all.
    what, why, do : str
        What was found, why it matters, what to do.
    count : int
        How many captures or files it concerns.
    captures : tuple of str
        The first of them, by id or path.
    """

    severity: str
    check: str
    category: str
    sensor: str
    what: str
    why: str
    do: str
    count: int = 0
    captures: tuple[str, ...] = ()

    def as_row(self) -> dict[str, Any]:
        """Give the finding as JSON can hold it."""
        return asdict(self) | {"captures": list(self.captures)}


@dataclass(frozen=True)
class Seen:
    """One capture as it was read: frames on their own grids, nothing resampled.

    ``frames`` holds what could be read; a frame that is missing or refused is not in it.
    """

    capture: Capture
    frames: Mapping[str, xr.DataArray]


class Check(Protocol):
    """Looks at one capture after the other, and says at the end what it found."""

    def look(self, seen: Seen) -> None:
        """Look at a capture; keep a few numbers at most."""
        ...

    def findings(self) -> Iterator[Finding]:
        """Say what was found."""
        ...


@dataclass
class Names:
    """The captures that a finding concerns: counted all, named some."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, name: str) -> None:
        """Count one more."""
        self.count += 1
        if len(self.first) < MOST_NAMED:
            self.first.append(name)

    @property
    def named(self) -> tuple[str, ...]:
        """The first of them."""
        return tuple(self.first)


def natural(name: str) -> list[tuple[int, str]]:
    """Sort key in which 9 comes before 10.

    Examples
    --------
    >>> sorted(["b10", "b9", "a"], key=natural)
    ['a', 'b9', 'b10']
    """
    return [
        (int(word), "") if word.isdigit() else (-1, word) for word in re.findall(r"\d+|\D+", name)
    ]


def heaviest_first(findings: Iterable[Finding]) -> list[Finding]:
    """Sort by weight, then by place."""
    return sorted(
        findings, key=lambda f: (SEVERITIES.index(f.severity), f.category, f.check, f.sensor)
    )
