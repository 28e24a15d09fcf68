"""The path grammar of data sets: from a path to a capture's place, and back.

A pattern is a path with placeholders ``{category} {split} {kind} {sensor} {series} {capture}``; a
part in square brackets may be absent; without a file ending every ending is taken. A placeholder
may list the words it takes: ``{category:Castings|Welds}``. Patterns are kept by what they lead to:
a sensor's name, ``mask``, ``boxes`` or ``any`` for patterns that hold ``{sensor}``.
The first that fits counts, but a reading in which a kind has no sensor's name goes before one in
which it has: "color" is a kind of defect as often as a camera's folder. Names of splits are
reserved.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

MASK, BOXES, ANY = "mask", "boxes", "any"
SPLITS = ("train", "calibration", "test")
PLACEHOLDERS = {"category", "split", "kind", "sensor", "series", "capture"}
PLACEHOLDER = re.compile(r"\{(\w*)(?::([^{}]*))?\}")


class Slot(NamedTuple):
    """One file's place in a data set."""

    category: str
    split: str
    kind: str
    capture: str
    target: str
    series: str = ""


class Layout:
    """The grammar of one card.

    Parameters
    ----------
    frames : mapping of str to sequence of str
        Patterns by sensor, ``mask`` or ``any``.
    splits : mapping of str to sequence of str
        Folder names by the split's role.
    folders : mapping of str to sequence of str
        Folder names by sensor, and of ``mask``.
    """

    def __init__(
        self,
        frames: Mapping[str, Sequence[str]],
        splits: Mapping[str, Sequence[str]],
        folders: Mapping[str, Sequence[str]],
    ) -> None:
        self._frames = frames
        self._splits = splits
        self._folders = folders
        self._roles = {name: role for role, names in splits.items() for name in names}
        self._targets = {name: target for target, names in folders.items() for name in names}
        self._patterns = [
            (target, re.compile(self._expression(pattern)))
            for target, patterns in frames.items()
            for pattern in patterns
        ]

    def match(self, relative: str, root_name: str) -> Slot | None:
        """Tell which place a file has.

        Parameters
        ----------
        relative : str
            Path below the data set's root, with forward slashes.
        root_name : str
            The root folder's name: the category where the pattern leaves it out.

        Returns
        -------
        Slot or None
            None for a file that is no frame and no mask. ``split`` is empty where the pattern
            leaves it out.
        """
        slots = [
            self._slot(key, found.groupdict(""), root_name)
            for key, expression in self._patterns
            if (found := expression.match(relative)) is not None
        ]
        return min(slots, key=self._oddity, default=None)

    def targets(self, target: str) -> tuple[str, ...]:
        """Tell who reads the files of a target: a file may hold the frames of several sensors.

        Parameters
        ----------
        target : str
            A sensor's name, ``mask`` or ``boxes``.

        Returns
        -------
        tuple of str
            The target first, then those with exactly the same patterns.
        """
        own = self._frames.get(target)
        alike = [other for other, held in self._frames.items() if held == own and other != target]
        return (target, *(other for other in alike if own and ANY not in (other, target)))

    def _slot(self, key: str, parts: dict[str, str], root_name: str) -> Slot:
        """Make a place of the parts of a path."""
        split = parts.get("split", "")
        return Slot(
            category=parts.get("category") or root_name,
            split=self._roles.get(split, split),
            kind=parts.get("kind", ""),
            capture=parts.get("capture", ""),
            target=key if key != ANY else self._targets[parts["sensor"]],
            series=parts.get("series", ""),
        )

    def places(self, target: str) -> dict[str, tuple[str, ...]]:
        """Tell which placeholders lead to a target, and the words each is bound to.

        Parameters
        ----------
        target : str
            A sensor's name, ``mask`` or ``boxes``.

        Returns
        -------
        dict of str to tuple of str
            By placeholder, of the first pattern; empty tuples where every word is taken, an empty
            dict where no pattern leads there.
        """
        any_sensor = () if target == BOXES else self._frames.get(ANY, ())
        pattern = next(iter(self._frames.get(target, any_sensor)), "")
        return {
            name: tuple(words.split("|")) if words else ()
            for name, words in PLACEHOLDER.findall(pattern)
        }

    def _oddity(self, slot: Slot) -> int:
        """Rank a reading: a kind that goes by the name of a sensor or of masks is unlikely."""
        target = self._targets.get(slot.kind)
        if target is None:
            return 0
        return 2 if target == MASK or slot.kind == target else 1

    def path(self, slot: Slot, suffix: str) -> str:
        """Write the path of a place: the grammar read backwards.

        Parameters
        ----------
        slot : Slot
        suffix : str
            File ending for patterns that leave it open.

        Returns
        -------
        str
            Path below the root, with forward slashes, in the first pattern's form.
        """
        pattern = self._frames.get(slot.target, self._frames.get(ANY, ("",)))[0]
        words = slot._asdict() | {
            "split": next(iter(self._splits.get(slot.split, [slot.split]))),
            "sensor": next(iter(self._folders.get(slot.target, [slot.target]))),
        }
        path = PLACEHOLDER.sub(lambda found: words[found[1]], re.sub(r"[\[\]]", "", pattern))
        return path if PurePosixPath(pattern).suffix else path + suffix

    def _expression(self, pattern: str) -> str:
        """Write a pattern as a regular expression."""
        reserved = "|".join(map(re.escape, self._roles))
        free = rf"(?!(?:{reserved})/)[^/]+"
        groups = {
            "category": free,
            "kind": free,
            "series": free,
            "capture": r"[^/]+?",
            "split": "|".join(map(re.escape, self._roles)),
            "sensor": "|".join(map(re.escape, self._targets)),
        }
        written = ""
        for piece in re.split(r"(\{[^{}]+\}|\[|\])", pattern):
            found = PLACEHOLDER.fullmatch(piece)
            if found is not None:
                bound = "|".join(map(re.escape, (found[2] or "").split("|")))
                written += rf"(?P<{found[1]}>{bound or groups[found[1]]})"
            else:
                written += {"[": "(?:", "]": ")?"}.get(piece, re.escape(piece))
        ending = "" if PurePosixPath(pattern).suffix else r"\.[A-Za-z0-9]+"
        return written + ending + r"\Z"
