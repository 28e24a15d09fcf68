"""One line of a model's history: what counts from then on, and what a person should know of it."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Change:
    """One line of a model's history.

    Parameters
    ----------
    number : int
        Counting from 1.
    what : str
        ``fit``, ``threshold``, ``update`` or ``undo``.
    when : str
        UTC.
    mmdefect : str
        The version that made it.
    content : str
        Hash of what was learnt.
    false_alarm : float
    before : int
        The change that taking this one back leads to; 0 for the first.
    told : dict
        What else is worth knowing, e.g. how many parts came in.
    referral : dict
        The band of p-values that is referred to a person; empty for none.
    """

    number: int
    what: str
    when: str
    mmdefect: str
    content: str
    false_alarm: float
    before: int = 0
    told: dict[str, Any] = field(default_factory=dict)
    referral: dict[str, Any] = field(default_factory=dict)
