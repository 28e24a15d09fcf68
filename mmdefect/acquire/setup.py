"""Which camera is which sensor: the file that a rig is run by.

::

    producers = ["viky"]              # .cti files; left out: those the system knows
    trigger = "software"              # or "hardware", or "free"
    line = "Line1"                    # where a hardware trigger comes in
    group = "number"                  # or "time"
    window_ms = 20                    # of one capture's frames, by time
    timeout_s = 2                     # for which a capture waits for its frames

    [sensors.rgb]
    camera = "VikyTL_DEV_red"
    [sensors.points]
    camera = "VikyTL_DEV_red"         # the same camera: its Range component
    [sensors.infrared]
    camera = "aravis:192.168.0.7"
    unit = "K"                        # what is not ours here goes into the card
    scale = 0.01

    [cameras.VikyTL_DEV_red]          # features, set in this order
    Width = 400

    [rig]                             # goes into the card as it is
    registered = ["points"]

Nothing is guessed: a word that nobody reads is refused.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmdefect.cards import read_card
from mmdefect.errors import AcquisitionError

TRIGGERS, GROUPS, CLOCKS = (
    ("software", "hardware", "free"),
    ("number", "time"),
    ("arrival", "camera"),
)
GIGE = "aravis:"
_WORDS = frozenset(
    "producers trigger line group window_ms clock timeout_s packet_bytes".split()
    + "sensors cameras rig".split()
)
_OURS = frozenset({"camera", "component"})
_COMPONENTS = {"points": "Range", "depth": "Range"}


@dataclass(frozen=True)
class Seat:
    """A sensor's place: a camera's id, and which of its components is meant.

    ``adapter`` is the kind of sensor; ``options`` are the card's.
    """

    camera: str
    component: str
    adapter: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Setup:
    """What a rig is run by; the words are those of the file."""

    sensors: Mapping[str, Seat]
    producers: tuple[str, ...] = ()
    trigger: str = "software"
    line: str = "Line0"
    group: str = "number"
    window_ms: float = 20.0
    clock: str = "arrival"
    timeout_s: float = 2.0
    packet_bytes: int | None = None
    features: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    rig: Mapping[str, Any] = field(default_factory=dict)

    @property
    def cameras(self) -> tuple[str, ...]:
        """The cameras in the order in which sensors name them."""
        return tuple(dict.fromkeys(seat.camera for seat in self.sensors.values()))

    def components(self, camera: str) -> frozenset[str]:
        """Tell which components of a camera are wanted."""
        return frozenset(s.component for s in self.sensors.values() if s.camera == camera)


def read_setup(path: Path) -> Setup:
    """Read a file of cameras.

    Parameters
    ----------
    path : Path
        TOML; see this module.

    Returns
    -------
    Setup

    Raises
    ------
    AcquisitionError
        When it is not there, is no TOML, or says something that is not understood.
    """
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise AcquisitionError(
            f"'{path}' cannot be read ({error.strerror}); give a file that says which camera is "
            "which sensor, see docs/rigs.md"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise AcquisitionError(f"'{path}' is no TOML: {error}") from error
    try:
        return setup_of(told)
    except AcquisitionError as error:
        raise AcquisitionError(f"'{path}': {error}") from error


def setup_of(told: Mapping[str, Any]) -> Setup:
    """Make a setup of a table.

    Parameters
    ----------
    told : mapping
        As TOML gives it.

    Returns
    -------
    Setup

    Raises
    ------
    AcquisitionError
        When it says something that is not understood.
    """
    _known(told, _WORDS, "a file of cameras")
    sensors = _table(told, "sensors")
    if not sensors:
        raise AcquisitionError("no [sensors.NAME] was found; name at least one, with its camera")
    seats = {name: _seat(name, _table(sensors, name)) for name in sensors}
    _check_components(seats)
    features = {name: _table(_table(told, "cameras"), name) for name in _table(told, "cameras")}
    for name in features:
        if name not in {seat.camera for seat in seats.values()}:
            raise AcquisitionError(f"[cameras.{name}] is no sensor's camera; correct the name")
    return Setup(
        sensors=seats,
        producers=_texts(told.get("producers", [])),
        trigger=_one_of(told, "trigger", TRIGGERS),
        line=str(told.get("line", "Line0")),
        group=_one_of(told, "group", GROUPS),
        window_ms=_positive(told, "window_ms", 20.0),
        clock=_one_of(told, "clock", CLOCKS),
        timeout_s=_positive(told, "timeout_s", 2.0),
        packet_bytes=int(_positive(told, "packet_bytes", 0.0)) or None,
        features=features,
        rig=_table(told, "rig"),
    )


def _seat(name: str, told: Mapping[str, Any]) -> Seat:
    """Read one sensor's table."""
    camera = told.get("camera")
    if not isinstance(camera, str) or not camera:
        raise AcquisitionError(f'[sensors.{name}] names no camera; add: camera = "its id"')
    adapter = str(told.get("adapter", name))
    known = read_card("folder").sensors
    if adapter not in known:
        raise AcquisitionError(
            f"[sensors.{name}] is no sensor that is read; there are: {', '.join(known)}; say which "
            'it is with: adapter = "…"'
        )
    component = str(told.get("component", _COMPONENTS.get(adapter, "Intensity")))
    options = {key: value for key, value in told.items() if key not in _OURS}
    return Seat(camera, component, adapter, options)


def _check_components(seats: Mapping[str, Seat]) -> None:
    """Refuse two pictures of one camera: which is which cannot be told by their formats."""
    taken: dict[tuple[str, bool], str] = {}
    for name, seat in seats.items():
        key = (seat.camera, seat.component == "Range")
        if key in taken:
            raise AcquisitionError(
                f"[sensors.{name}] and [sensors.{taken[key]}] both take a picture of camera "
                f"{seat.camera!r}; one picture and one Range of a camera are read"
            )
        taken[key] = name


def _known(told: Mapping[str, Any], words: frozenset[str], what: str) -> None:
    unknown = sorted(set(told) - words)
    if unknown:
        raise AcquisitionError(
            f"{unknown[0]!r} is no word of {what}; there are: {', '.join(sorted(words))}"
        )


def _table(told: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = told.get(name, {})
    if not isinstance(found, Mapping):
        raise AcquisitionError(f"{name} is {found!r}, but a table was promised")
    return found


def _texts(told: Any) -> tuple[str, ...]:
    texts = (told,) if isinstance(told, str) else told
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise AcquisitionError(f"producers is {told!r}, but a list of paths was promised")
    return tuple(texts)


def _one_of(told: Mapping[str, Any], name: str, words: tuple[str, ...]) -> str:
    found = told.get(name, words[0])
    if found not in words:
        raise AcquisitionError(f"{name} is {found!r}, but one of {', '.join(words)} was promised")
    return str(found)


def _positive(told: Mapping[str, Any], name: str, default: float) -> float:
    found = told.get(name, default)
    if isinstance(found, bool) or not isinstance(found, int | float) or found < 0:
        raise AcquisitionError(f"{name} is {found!r}, but a positive number was promised")
    return float(found)
