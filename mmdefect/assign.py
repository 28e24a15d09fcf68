"""Which split a file belongs to, where its folder does not say.

Official splits are often a table beside the captures, and a series of frames of one part must go
to one side as a whole. Both stand in the card's ``[assign]``: lists of path patterns by split, or
the name of a table with the columns ``image`` and ``split``.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from mmdefect.errors import CardError

_MOST_BYTES = 256 << 20


@dataclass(frozen=True)
class Assign:
    """The rules of one card.

    Parameters
    ----------
    globs : dict of str to tuple of str
        Path patterns below the root by split, as the shell has them; ``*`` goes through folders.
    table : str
        Path of a CSV file below the root, with the columns ``image`` (path below the root) and
        ``split``; none when empty.
    """

    globs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    table: str = ""

    def splits(self, root: Path, roles: Mapping[str, str]) -> "Assigned":
        """Read what the table says.

        Parameters
        ----------
        root : Path
            The data set's folder.
        roles : mapping of str to str
            The split's role by the card's words for it.

        Returns
        -------
        Assigned

        Raises
        ------
        CardError
            When the table is missing or is no such table.
        """
        listed: dict[str, str] = {}
        if self.table:
            for row in _rows(root / self.table, self.table):
                role = roles.get(row["split"])
                if role is not None:
                    listed[row["image"].replace("\\", "/").removeprefix("./")] = role
        return Assigned(self.globs, listed)


@dataclass(frozen=True)
class Assigned:
    """The rules of one card on one folder."""

    globs: Mapping[str, tuple[str, ...]]
    listed: Mapping[str, str]

    def of(self, relative: str) -> str:
        """Give the split of a file by its path below the root; empty where nothing is said."""
        if relative in self.listed:
            return self.listed[relative]
        for split, patterns in self.globs.items():
            if any(fnmatchcase(relative, pattern) for pattern in patterns):
                return split
        return ""


def _rows(path: Path, name: str) -> list[dict[str, str]]:
    """Read a table with a bounded size and the promised columns."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise CardError(f"the split table {name!r} is larger than {_MOST_BYTES >> 20} MiB")
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CardError(
            f"the card names the split table {name!r}, which cannot be read ({error}); copy it "
            "into the data set's folder, or take 'table' out of the card's [assign]"
        ) from error
    if not rows or not {"image", "split"} <= set(rows[0]) or None in rows[0].values():
        found = ", ".join(map(str, rows[0] if rows else ()))
        raise CardError(
            f"the split table {name!r} has the columns {found}; image and split were promised"
        )
    return rows
