"""Evidence one can look at: a patch, and the good patches that it is least unlike.

Plain values without arrays, because they go into lines of JSON, pages and notebooks as they are.
"""

from dataclasses import dataclass, field

__all__ = ["Match", "Neighbour"]


@dataclass(frozen=True)
class Neighbour:
    """A good patch that a bank remembers.

    Parameters
    ----------
    capture : str
        The good part it came from; empty where the model does not know.
    y, x : float
        Its centre in pixels of that part's scene; NaN where the model does not know.
    distance : float
        How far it is, in units of the usual distance between good patches around the nearest.
    """

    capture: str
    y: float
    x: float
    distance: float


@dataclass(frozen=True)
class Match:
    """A patch of one sensor beside the good patches that it is nearest to.

    Parameters
    ----------
    sensor : str
    y, x : float
        Its centre in pixels of the scene.
    side : float
        Pixels from one patch to the next.
    score : float
        The distance that the detector scores it by: that of ``nearest[0]``.
    nearest : tuple of Neighbour
        One of each good part, the nearest first.
    groups : dict of str to float
        Share of each group of features in the squared distance to ``nearest[0]``; they sum to 1.
        Empty where the features have no groups, or the distance is 0.
    """

    sensor: str
    y: float
    x: float
    side: float
    score: float
    nearest: tuple[Neighbour, ...]
    groups: dict[str, float] = field(default_factory=dict)
