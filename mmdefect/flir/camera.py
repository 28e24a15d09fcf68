"""What a camera knows of itself, and what its operator told it about the scene."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from mmdefect.errors import CardError, SensorError
from mmdefect.flir.records import Record

WINDOW_PLACES = ("middle", "camera")
_SHARES = ("emissivity", "window_transmission")
_KELVIN = ("reflected_temperature", "air_temperature", "window_temperature")
_PERCENT_ABOVE = 2.0


@dataclass(frozen=True)
class Planck:
    """Constants by which counts stand for the temperature of a black body.

    Parameters
    ----------
    r1, r2, b, f, offset : float
        counts = r1 / (r2 (exp(b / T) - f)) - offset, with T and b in K.
    """

    r1: float
    r2: float
    b: float
    f: float
    offset: float


@dataclass(frozen=True)
class Air:
    """Constants by which air between part and camera weakens radiation.

    Parameters
    ----------
    alpha1, alpha2 : float, m^-1/2
    beta1, beta2 : float, m^-1/2 (g/m³)^-1/2
    x : float, 1
        Share of the first of two exponentials.
    """

    alpha1: float
    alpha2: float
    beta1: float
    beta2: float
    x: float


@dataclass(frozen=True)
class Scene:
    """What lies between a part's temperature and the camera.

    Parameters
    ----------
    emissivity : float, 1
    distance : float, m
    reflected_temperature : float, K
        Apparent temperature of what the part mirrors.
    air_temperature : float, K
    humidity : float, 1
        Relative.
    window_temperature : float, K
        Of an infrared window or of optics before the lens.
    window_transmission : float, 1
        1 without a window.
    window_at : {"middle", "camera"}
        Where the window stands. "middle" halves the way through air as the usual decoders do,
        even without a window; "camera" leaves it whole.
    """

    emissivity: float
    distance: float
    reflected_temperature: float
    air_temperature: float
    humidity: float
    window_temperature: float
    window_transmission: float
    window_at: str = "middle"


SCENE_OPTIONS = tuple(field.name for field in fields(Scene))


def read_camera(record: Record) -> tuple[Planck, Air, Scene, str]:
    """Read the record of camera and scene.

    Parameters
    ----------
    record : Record

    Returns
    -------
    Planck
    Air
    Scene
        As the operator, or the camera's default, says; not checked.
    str
        The camera's model.

    Raises
    ------
    SensorError
        When the record is cut off, or its constants cannot be a camera's.
    """
    emissivity, distance, reflected, air, window, through = record.numbers("6f", 0x20)
    (humidity,) = record.numbers("f", 0x3C)
    r1, b, f = record.numbers("3f", 0x58)
    alpha1, alpha2, beta1, beta2, x = record.numbers("5f", 0x70)
    offset, r2 = record.numbers("if", 0x308)
    planck = Planck(r1, r2, b, f, offset)
    constants = [r1, r2, b, f, alpha1, alpha2, beta1, beta2, x]
    if not all(map(math.isfinite, constants)) or min(r1, r2, b) <= 0:
        raise SensorError(
            f"states the Planck constants R1 {r1:g}, R2 {r2:g}, B {b:g} and F {f:g}, which no "
            "camera has; the file was damaged, or is not radiometric: copy it again"
        )
    told = humidity / 100 if humidity > _PERCENT_ABOVE else humidity
    scene = Scene(emissivity, distance, reflected, air, told, window, through)
    return planck, Air(alpha1, alpha2, beta1, beta2, x), scene, record.text(0xD4, 32)


def check_scene_options(scene: object) -> dict[str, Any]:
    """Refuse values of the scene that a card states and that no scene has.

    Parameters
    ----------
    scene : mapping or None
        Some of the fields of ``Scene``.

    Returns
    -------
    dict
        The fields.

    Raises
    ------
    CardError
        When a name is unknown or a value impossible.
    """
    if scene is None:
        return {}
    if not isinstance(scene, Mapping) or not set(scene) <= set(SCENE_OPTIONS):
        unknown = sorted(set(scene) - set(SCENE_OPTIONS)) if isinstance(scene, Mapping) else scene
        raise CardError(
            f"scene has {unknown!r}, but some of {', '.join(SCENE_OPTIONS)} were promised; "
            "correct the card"
        )
    for name, value in scene.items():
        if not _possible(name, value):
            raise CardError(f"scene {name} is {value!r}, but {_promised(name)}; correct the card")
    return dict(scene)


def with_options(scene: Scene, told: Mapping[str, Any]) -> Scene:
    """Put a card's values in the place of the file's, and check what is left.

    Parameters
    ----------
    scene : Scene
    told : mapping
        From ``check_scene_options``.

    Returns
    -------
    Scene

    Raises
    ------
    SensorError
        When the file states an impossible value that the card does not override.
    """
    scene = replace(scene, **told)
    if scene.window_transmission == 1:
        scene = replace(scene, window_temperature=scene.air_temperature)
    if scene.emissivity == 1:
        scene = replace(scene, reflected_temperature=scene.air_temperature)
    for name in SCENE_OPTIONS:
        value = getattr(scene, name)
        if not _possible(name, value):
            raise SensorError(
                f"states {name} {value!r}, but {_promised(name)}; give it in the card: "
                f"scene = {{ {name} = … }}"
            )
    return scene


def _possible(name: str, value: object) -> bool:
    """Tell whether a field of the scene can have a value."""
    if name == "window_at":
        return value in WINDOW_PLACES
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return False
    if name in _SHARES:
        return 0 < value <= 1
    return value > 0 if name in _KELVIN else 0 <= value <= (1 if name == "humidity" else math.inf)


def _promised(name: str) -> str:
    """Say what values a field of the scene has."""
    if name == "window_at":
        return f"one of {', '.join(WINDOW_PLACES)} was promised"
    if name in _SHARES:
        return "a share above 0 and at most 1 was promised"
    if name in _KELVIN:
        return "a temperature in K was promised"
    return "a share from 0 to 1 was promised" if name == "humidity" else "metres were promised"
