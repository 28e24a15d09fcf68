"""Targets: flat boards whose points are known to a hundredth of a millimetre.

The description is a small TOML file that lies beside the views, because a wrong side of a square
scales every length of the rig and no residual shows it. The target's frame is that of a sheet on
a desk: x along its rows, y down along its columns, z into the sheet. Square patterns begin at the
outer corner of the upper left square, which is black; grids of circles at the first centre.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdefect.calibration._toml import parsed
from mmdefect.errors import CalibrationError

KINDS = ("chessboard", "charuco", "circles", "asymmetric-circles")
_LEAST, _MOST = 3, 100
_LARGEST = 10**6
_FIELDS = {
    "chessboard": {"square"},
    "charuco": {"square", "marker", "dictionary"},
    "circles": {"spacing", "diameter"},
    "asymmetric-circles": {"spacing", "diameter"},
}


@dataclass(frozen=True)
class Target:
    """A flat calibration target.

    Parameters
    ----------
    kind : str
        One of ``KINDS``.
    rows, columns : int
        Squares of a chessboard or ChArUco board; circles of a grid. In an asymmetric grid every
        other row is shifted by half the distance of its circles.
    pitch : float, mm
        Side of a square, or distance of circles' centres: in an asymmetric grid the distance of
        its rows, which is half the distance of the circles in a row.
    marker : float, mm
        Side of a ChArUco board's markers.
    dictionary : str
        OpenCV's name of their set, without ``DICT_``.
    diameter : float, mm
        Of circles.
    dark : bool
        Whether squares or circles are dark on a bright sheet; false for bright ones on a dark one.

    Raises
    ------
    CalibrationError
        When no such target can be printed.
    """

    kind: str
    rows: int
    columns: int
    pitch: float
    marker: float = 0.0
    dictionary: str = ""
    diameter: float = 0.0
    dark: bool = True

    def __post_init__(self) -> None:
        """Refuse what is no target."""
        if self.kind not in KINDS:
            raise CalibrationError(f"the target is a {self.kind!r}; there are: {', '.join(KINDS)}")
        if not (_LEAST <= min(self.rows, self.columns) and max(self.rows, self.columns) <= _MOST):
            raise CalibrationError(
                f"the target has {self.rows} rows and {self.columns} columns; {_LEAST} to {_MOST} "
                "of each were promised"
            )
        if self.rows == self.columns and self.kind in ("chessboard", "circles"):
            raise CalibrationError(
                f"the target has as many rows as columns, {self.rows}, so that nobody can tell "
                "them apart in a frame; print one more of either"
            )
        within = self.pitch if self.kind != "asymmetric-circles" else math.sqrt(2) * self.pitch
        inner = {"charuco": self.marker, "chessboard": within / 2}.get(self.kind, self.diameter)
        if not 0 < inner < within < math.inf:
            raise CalibrationError(
                f"the target's squares or spacings are {self.pitch} mm and what they hold is "
                f"{inner} mm; positive lengths were promised, the second below the first"
            )

    @property
    def round(self) -> bool:
        """Whether its points are centres of circles."""
        return self.kind.endswith("circles")

    @property
    def points(self) -> NDArray[np.float64]:
        """Its points (n, 3) row by row, in its own frame, mm."""
        if self.round:
            rows, columns = np.mgrid[: self.rows, : self.columns].reshape(2, -1)
            if self.kind == "asymmetric-circles":
                columns = 2 * columns + rows % 2
        else:
            rows, columns = np.mgrid[1 : self.rows, 1 : self.columns].reshape(2, -1)
        return np.stack([columns, rows, np.zeros_like(rows)], axis=1) * self.pitch

    @property
    def grid(self) -> tuple[int, int]:
        """How many rows and columns its points form."""
        return (self.rows, self.columns) if self.round else (self.rows - 1, self.columns - 1)

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Least x and y, greatest x and y of what is printed, in its own frame, mm."""
        if not self.round:
            return 0.0, 0.0, self.columns * self.pitch, self.rows * self.pitch
        right, bottom = self.points[:, :2].max(0)
        half = self.diameter / 2
        return -half, -half, float(right) + half, float(bottom) + half

    @property
    def turns(self) -> bool:
        """Whether it looks the same when it is turned by 180°."""
        if self.kind == "charuco":
            return False
        if self.kind == "circles":
            return True
        odd = (self.rows + self.columns) % 2 if self.kind == "chessboard" else self.rows % 2
        return not odd


def read_target(path: str | Path) -> Target:
    """Read a target's description.

    Parameters
    ----------
    path : str or Path
        TOML: ``kind``, ``rows``, ``columns`` and ``square``, for ChArUco ``marker`` and
        ``dictionary`` too; for circles ``spacing`` and ``diameter``; ``dark`` when it is false.

    Returns
    -------
    Target

    Raises
    ------
    CalibrationError
        When the file is missing or says something else.
    """
    path = Path(path)
    said = parsed(path, "target")
    try:
        return _target(said)
    except CalibrationError as error:
        raise CalibrationError(f"{path.name}: {error}") from error


def _target(said: dict[str, Any]) -> Target:
    """Make a target of its table."""
    kind = said.get("kind")
    needed = {"kind", "rows", "columns"} | _FIELDS.get(str(kind), {"square"})
    wrong = sorted(needed - set(said)) or sorted(set(said) - needed - {"dark"})
    if kind in KINDS and wrong:
        missing = wrong[0] in needed
        raise CalibrationError(
            f"{'lacks' if missing else 'has the unknown key'} {wrong[0]!r}; a {kind} is told by: "
            f"{', '.join(sorted(needed))}"
        )
    for key, found in said.items():
        kinds: Any = {"kind": str, "dictionary": str, "dark": bool}.get(key, (int, float))
        kinds = int if key in ("rows", "columns") else kinds
        wrong_kind = not isinstance(found, kinds) or (isinstance(found, bool) and key != "dark")
        if wrong_kind or (isinstance(found, int) and abs(found) > _LARGEST):
            raise CalibrationError(f"{key} is {found!r:.80}, which is of the wrong type or size")
    return Target(
        kind=str(kind),
        rows=said.get("rows", 0),
        columns=said.get("columns", 0),
        pitch=float(said.get("spacing" if "spacing" in said else "square", 0.0)),
        marker=float(said.get("marker", 0.0)),
        dictionary=said.get("dictionary", "").removeprefix("DICT_"),
        diameter=float(said.get("diameter", 0.0)),
        dark=said.get("dark", True),
    )


def target_text(target: Target) -> str:
    """Give the description that ``read_target`` reads back.

    Parameters
    ----------
    target : Target

    Returns
    -------
    str
        TOML.
    """
    lengths = {"spacing" if target.round else "square": target.pitch}
    if target.round:
        lengths["diameter"] = target.diameter
    if target.kind == "charuco":
        lengths["marker"] = target.marker
    lines = [f'kind = "{target.kind}"', f"rows = {target.rows}", f"columns = {target.columns}"]
    lines += [f"{key} = {float(length)!r}  # mm" for key, length in lengths.items()]
    lines += [f'dictionary = "{target.dictionary}"'] * (target.kind == "charuco")
    lines += ["dark = false"] * (not target.dark)
    return "\n".join(lines) + "\n"
