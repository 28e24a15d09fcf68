"""What a row of the bench holds: ways to do one thing, and what must hold of their results."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

Way = Callable[[], object]


@dataclass(frozen=True)
class Check:
    """One number that was found, and what it has to keep to."""

    told: str
    found: float
    least: float | None = None
    most: float | None = None

    @property
    def kept(self) -> bool | None:
        """Whether it keeps to its bounds; None where it has none."""
        if self.least is None and self.most is None:
            return None
        above = self.least is None or self.found >= self.least
        return bool(above and (self.most is None or self.found <= self.most))


@dataclass(frozen=True)
class Case:
    """Ours and its rivals on one input.

    ``targets`` names for each rival how many times its processor time ours has to go into it;
    ``limit`` is a bound in seconds of the clock where there is no rival. ``checks`` is called once,
    after the timing. ``rounds`` counts turns of all ways; one that is in ``once`` takes part in the
    first turn only. ``scale`` is by how much a rival does too little: its times are multiplied.
    ``bytes_most`` bounds the memory of ours. ``threads`` are those asked for.
    """

    ours: Way
    rivals: Mapping[str, Way] = field(default_factory=dict)
    targets: Mapping[str, float] = field(default_factory=dict)
    limit: float | None = None
    checks: Callable[[], Sequence[Check]] = tuple
    rounds: int = 5
    once: Sequence[str] = ()
    warm: bool = True
    memory: bool = True
    scale: Mapping[str, float] = field(default_factory=dict)
    bytes_most: float | None = None
    threads: Sequence[int] = (1, 2)
