"""Where an inspection's parts came from: all that a model has to know of a data set."""

from dataclasses import dataclass, field

from mmdefect.cards import Card


@dataclass(frozen=True)
class Origin:
    """The data set that good parts came from.

    Parameters
    ----------
    card : Card
    category : str
        The kind of part.
    sensors : tuple of str
        In the rig's order.
    sizes : dict of str to (int, int)
        Height and width in pixels of each sensor's frames, where one could be read.
    manifest : str
        SHA-256 over path and content of every file learnt from.
    fit, calibration : list of list of str
        SHA-256 of every frame, part by part: a part is on one side only, for ever.
    knows_good : bool
        Whether a whole good part is among them; else nothing can be promised of parts.
    """

    card: Card
    category: str
    sensors: tuple[str, ...]
    sizes: dict[str, tuple[int, int]]
    manifest: str = ""
    fit: list[list[str]] = field(default_factory=list)
    calibration: list[list[str]] = field(default_factory=list)
    knows_good: bool = True
