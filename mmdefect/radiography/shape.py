"""What a card says of the shape that a radiograph is held against."""

from dataclasses import dataclass
from pathlib import Path

SHAPED = ("excess", "ratio")
"""Quantities that need the part's shape: attenuation less the expected, or over it."""


@dataclass(frozen=True)
class ShapeOptions:
    """What a card says of the shape that a radiograph is held against.

    Parameters
    ----------
    quantity : {"excess", "ratio"}
    cad : Path, optional
        Closed mesh of the part, in the rig's frame, mm.
    fittings : Path, optional
        Closed mesh of what is of another material in it.
    surface : str
        Instead of `cad`: the scanner that sees the part's front.
    back : float, mm
        With `surface`: how far behind the rig's nominal plane the part's flat back lies.
    blur : float, px, optional
        Of the panel; found from each radiograph when left out.
    align : bool
        With `cad`: whether the part's place is found from each radiograph.
    """

    quantity: str
    cad: Path | None = None
    fittings: Path | None = None
    surface: str = ""
    back: float = 0.0
    blur: float | None = None
    align: bool = True
