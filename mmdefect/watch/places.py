"""Which capture a file of the watched folder belongs to.

A capture's name must be the same after every restart, wherever the folder is mounted then. So a
place is told from the file's own path and nothing else: not from what arrived before it, and not
from folders above the watched one, except that the card's grammar may begin there (a folder
``incoming`` of ``rgb`` and ``points`` stands where the grammar has a kind of part).
"""

from pathlib import Path
from typing import NamedTuple

from mmdefect.captures import FRAME_SUFFIXES, place_key
from mmdefect.cards import Card
from mmdefect.layout import Slot
from mmdefect.model import Origin
from mmdefect.reading import FrameReader
from mmdefect.rigging import read_card_rig

_MOST_ABOVE = 8


class Place(NamedTuple):
    """Where a frame belongs."""

    root: Path
    slot: Slot
    key: tuple[int | str, ...]


class Places:
    """Tells the places of files below a folder.

    Parameters
    ----------
    folder : Path
        The watched one, absolute.
    card : Card
    category : str
        The kind of part that is wanted where several readings of a path are possible.
    sensors : set of str
        Frames of others have no place.
    """

    def __init__(self, folder: Path, card: Card, category: str, sensors: frozenset[str]) -> None:
        self.folder, self.card, self.category, self.sensors = folder, card, category, sensors
        self._roots = [folder, *list(folder.parents)[:_MOST_ABOVE]]

    def of(self, path: Path) -> Place | None:
        """Tell a file's place.

        Parameters
        ----------
        path : Path
            Below the folder.

        Returns
        -------
        Place or None
            None for a file that is no frame: hidden, of another ending, or with no place in the
            card.
        """
        inside = path.relative_to(self.folder)
        hidden = any(part.startswith(".") or not part.isprintable() for part in inside.parts)
        if hidden or path.suffix.lower() not in FRAME_SUFFIXES:
            return None
        places = [
            Place(root, slot, (up, *place_key(slot)))
            for up, root in enumerate(self._roots)
            if (slot := self._slot(root, path)) is not None
        ]
        own = [place for place in places if place.slot.category == self.category]
        return next(iter([*own, *places]), None)

    def foreign(self, path: Path, place: Place) -> bool:
        """Tell whether a file is of another kind of part than the one that is wanted.

        Parameters
        ----------
        path : Path
        place : Place
            Its own.

        Returns
        -------
        bool
            True where folders of this name and of the wanted kind lie side by side.
        """
        named = [p for p in path.relative_to(self.folder).parents if p.name == place.slot.category]
        if place.slot.category == self.category or not named:
            return False
        return (self.folder / named[0].parent / self.category).is_dir()

    def _slot(self, root: Path, path: Path) -> Slot | None:
        slot = self.card.layout.match(path.relative_to(root).as_posix(), root.name)
        there = () if slot is None else self.card.layout.targets(slot.target)
        return slot if self.sensors & set(there) else None


def wanted_sensors(
    origin: Origin, card: Card, folder: Path
) -> tuple[frozenset[str], frozenset[str]]:
    """Tell which sensors a complete capture has, and which are looked for at all.

    A scanner that only places the others belongs to a capture where the rig has no other surface.

    Parameters
    ----------
    origin : Origin
    card : Card
    folder : Path

    Returns
    -------
    frozenset of str
        Of a complete capture.
    frozenset of str
        Those and others that are of use.
    """
    rig = read_card_rig(card, folder, FrameReader(card, folder, []).adapter)
    needed, scanners = frozenset(origin.sensors), frozenset(rig.scanners if rig else ())
    alone = rig is not None and rig.registration.rig.surface is None
    return needed | scanners if alone else needed, needed | scanners
