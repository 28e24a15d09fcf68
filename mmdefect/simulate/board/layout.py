"""The board's drawing: outline, holes, fiducials, and which package stands where, with what power.

Nominal numbers only. The two makers' capacitors (sites ``C1`` to ``C4``) stand near the cameras'
axis, so that from above their height hardly shows.
"""

from dataclasses import dataclass

BOARD_MM = (90.0, 75.0)
THICKNESS_MM = 1.6
CORNER_MM = 3.0
HOLES = ((-41.0, -33.5), (41.0, -33.5), (-41.0, 33.5), (41.0, 33.5))
HOLE_MM = 3.2
FIDUCIALS = ((-33.0, 33.0), (34.5, -33.0), (35.0, 33.5))
FIDUCIAL_MM = 1.2

OPTIONAL = "R30"
LOW, TALL = "can_low", "can_tall"


@dataclass(frozen=True)
class Site:
    """A place for one component.

    Parameters
    ----------
    name : str
        As printed beside it.
    package : str
        Name in ``board_families.package``.
    x, y : float, mm
    turn : float, deg
        From x towards y.
    power : float, W
        Heat it gives off while the board is powered.
    text : str
        Printed on it; a ``#`` becomes the board's lot.
    """

    name: str
    package: str
    x: float
    y: float
    turn: float = 0.0
    power: float = 0.0
    text: str = ""


_LARGE = (
    Site("J1", "header", -38.6, 0.0),
    Site("U1", "qfp44", 0.0, -4.0, 0, 0.45, "MX430\nF1612\n#"),
    Site("U2", "soic16", 0.0, 15.5, 0, 0.30, "DRV8816\n#"),
    Site("U3", "bga81", 22.0, -16.0, 0, 0.70, "ZC9050\nFG81C\n#"),
    Site("U4", "soic8", -11.4, 12.0, 90, 0.20, "OP27\n#"),
    Site("VR1", "d2pak", 33.0, 13.0, 0, 1.15, "LM1085\n#"),
    Site("L1", "coil", 18.6, 20.4, 0, 0.40, "470"),
    Site("Y1", "crystal", -10.6, -18.0, 0, 0, "16.000"),
    Site("D4", "sma", -31.0, 22.0, 90, 0.10, "S3M"),
    Site("C1", LOW, -22.5, -7.0, 0, 0, "47"),
    Site("C2", LOW, -22.5, 5.0, 0, 0, "47"),
    Site("C3", LOW, 13.2, 3.0, 90, 0, "47"),
    Site("C4", LOW, 22.4, 3.0, 90, 0, "47"),
    Site(OPTIONAL, "r2818", -21.5, 25.0, 0, 0.55, "R047"),
    Site("D1", "led", -29.0, -33.0, 0),
    Site("D2", "led", -22.0, -33.0, 0),
    Site("D3", "led", -15.0, -33.0, 0),
)

_RESISTORS = (
    Site("R1", "r0805", -4.0, -26.0, 90, 0.02, "103"),
    Site("R2", "r0805", 0.0, -26.0, 90, 0.02, "103"),
    Site("R3", "r0805", 4.0, -26.0, 90, 0.02, "472"),
    Site("R4", "r0805", 8.0, -26.0, 90, 0.02, "472"),
    Site("R5", "r0805", -29.0, -27.0, 90, 0.06, "331"),
    Site("R6", "r0805", -22.0, -27.0, 90, 0.06, "331"),
    Site("R7", "r0805", -15.0, -27.0, 90, 0.06, "331"),
    Site("R8", "r0805", -12.6, -6.8, 0, 0.02, "220"),
    Site("R9", "r0805", -12.6, -2.8, 0, 0.02, "220"),
    Site("R10", "r0805", -12.6, 1.2, 0, 0.02, "220"),
    Site("R11", "r1206", 11.0, 31.5, 0, 0.14, "1R0"),
    Site("R12", "r1206", 19.0, 31.5, 0, 0.14, "1R0"),
    Site("R13", "r1206", 24.8, 11.6, 90, 0.12, "R22"),
    Site("R14", "r0805", -36.5, -22.0, 0, 0.02, "101"),
    Site("R15", "r0805", -36.5, -26.5, 0, 0.02, "101"),
    Site("R17", "r0805", -10.6, 23.5, 0, 0.02, "104"),
    Site("R18", "r0805", -10.6, 28.0, 0, 0.02, "104"),
)

_CAPACITORS = (
    Site("C10", "c0805", 13.4, -28.0),
    Site("C11", "c0805", 19.0, -28.0),
    Site("C12", "c0805", 24.6, -28.0),
    Site("C13", "c0805", 30.2, -28.0),
    Site("C14", "c0805", 34.5, -20.5),
    Site("C15", "c0805", 34.5, -16.0),
    Site("C16", "c0805", 34.5, -11.5),
    Site("C17", "c0805", -15.0, -12.3),
    Site("C18", "c0805", -9.7, -12.3),
    Site("C20", "c1206", -3.6, 26.5, 90),
    Site("C21", "c1206", 0.8, 26.5, 90),
    Site("C22", "c1206", 5.2, 26.5, 90),
    Site("C24", "c1206", 27.6, 29.0, 90),
    Site("C25", "c1206", 32.0, 29.0, 90),
    Site("C26", "c1206", 9.2, 14.0, 90),
    Site("C27", "c1206", 15.6, 10.4, 0),
    Site("C28", "c1206", -21.5, 16.0, 0),
    Site("C29", "c0805", 11.0, -8.2, 90),
    Site("C30", "c0805", 11.0, -13.0, 90),
    Site("C31", "c0805", 34.5, -3.0, 0),
)

SITES: tuple[Site, ...] = (*_LARGE, *_RESISTORS, *_CAPACITORS)
SITE: dict[str, Site] = {site.name: site for site in SITES}
