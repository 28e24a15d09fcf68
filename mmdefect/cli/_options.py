"""Arguments and options that several commands share, and what they turn into.

``evaluate`` and ``fit`` learn in the same way, so they take the same flags and make the same
settings of them.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mmdefect.cache import SceneCache
    from mmdefect.referral import Referral
    from mmdefect.settings import Settings

CardName = Annotated[str, typer.Argument(help="A card's name, or the path of a TOML file.")]
Root = Annotated[Path, typer.Argument(help="The folder of the captures.")]
Model = Annotated[Path, typer.Argument(help="The folder of a model, as 'fit' writes it.")]
Sensors = Annotated[str, typer.Option(help="Use only these, separated by commas, e.g. rgb,points.")]
Features = Annotated[
    list[str] | None,
    typer.Option(
        "--features",
        help="SENSOR=SPEC, or SPEC for all; may be repeated. SPEC is 'builtin' or like "
        "'timm:resnet18@FILE?stages=2,3'.",
    ),
]
Detector = Annotated[str, typer.Option(help="A detector's name.")]
Fusion = Annotated[str, typer.Option(help="A fusion's name.")]
FalseAlarm = Annotated[
    float, typer.Option(help="Wanted rate of good parts called defective, in (0, 1).")
]
BankBytes = Annotated[
    int, typer.Option(min=1 << 20, help="Bytes the detectors may hold while fitting.")
]
Workers = Annotated[
    int, typer.Option(min=0, help="Judge in so many processes; 0 for this one alone.")
]
Scheduler = Annotated[
    str, typer.Option(help="Judge on the dask cluster at this address, tcp://host:port.")
]
LearnWeights = Annotated[
    bool,
    typer.Option(
        "--learn-weights",
        help="Weigh the sensors by labelled defective captures outside the test split, where "
        "held-out ones show that it is better.",
    ),
]
ReferUpTo = Annotated[
    float,
    typer.Option(help="Refer what is called good up to this p-value to a person; 0: nothing."),
]
Costs = Annotated[
    str,
    typer.Option(
        help="What a missed defect, a false alarm and a referral cost, e.g. 200,20,1: verdicts "
        "that are dearer than a person's look are referred."
    ),
]
DefectRate = Annotated[
    float, typer.Option(help="With --costs: the share of the line's parts that are defective.")
]
Seed = Annotated[int, typer.Option(help="Of every random step.")]
Cache = Annotated[
    Path | None,
    typer.Option(
        envvar="MMDEFECT_CACHE",
        help="Keep scenes here, so that a second run need not read and register them again.",
    ),
]
CacheBytes = Annotated[
    int, typer.Option(min=1 << 20, help="Bytes the cache may hold; the oldest scenes go first.")
]
CACHE_BYTES = 8 << 30
ViewerBytes = Annotated[
    int, typer.Option(min=0, help="Bytes of the viewer's pages, mistakes first; 0 for none.")
]
Readers = Annotated[
    int,
    typer.Option(min=0, help="Processes that read captures ahead, beside the one that judges."),
]


def check_rate(false_alarm: float) -> None:
    """Refuse what is no rate.

    Parameters
    ----------
    false_alarm : float

    Raises
    ------
    BadParameter
    """
    if not 0 < false_alarm < 1:
        raise typer.BadParameter("a rate between 0 and 1 was promised", param_hint="--false-alarm")


def referral_of(refer_up_to: float, costs: str, defect_rate: float) -> "Referral":
    """Make the band that the flags ask for.

    Parameters
    ----------
    refer_up_to : float
        0 where it was not given.
    costs : str
        Three numbers, separated by commas; empty where it was not given.
    defect_rate : float

    Returns
    -------
    Referral

    Raises
    ------
    BadParameter
        When both are given, or one is no cost, rate or p-value.
    """
    from mmdefect.referral import Costs, Referral

    if costs and refer_up_to:
        raise typer.BadParameter(
            "costs make a band of their own; leave one of the two out", param_hint="--refer-up-to"
        )
    prices = _prices(costs) if costs else None
    try:
        if prices is None:
            return Referral(high=refer_up_to)
        return Referral.of_costs(Costs(*prices, defect_rate=defect_rate))
    except ValueError as error:
        hint = "--costs" if costs else "--refer-up-to"
        raise typer.BadParameter(str(error), param_hint=hint) from error


def _prices(told: str) -> tuple[float, float, float]:
    """Read the three costs."""
    try:
        missed, false_alarm, referral = (float(word) for word in told.split(","))
    except ValueError as error:
        raise typer.BadParameter(
            f"{told!r} was given; three numbers were promised, e.g. 200,20,1", param_hint="--costs"
        ) from error
    return missed, false_alarm, referral


def settings_of(
    card: str,
    sensors: str,
    features: list[str] | None,
    detector: str,
    fusion: str,
    false_alarm: float,
    bank_bytes: int,
    seed: int,
    learn_weights: bool = False,
    referral: "Referral | None" = None,
) -> "Settings":
    """Make the settings that the shared flags ask for.

    Returns
    -------
    Settings

    Raises
    ------
    BadParameter
        When the rate is none.
    MmdefectError
        When the features cannot be made.
    """
    from mmdefect.referral import Referral
    from mmdefect.settings import Settings

    check_rate(false_alarm)
    return Settings(
        sensors=tuple(name for name in sensors.split(",") if name),
        features=_features(features or [], card),
        detector=detector,
        fusion=fusion,
        false_alarm=false_alarm,
        bank_bytes=bank_bytes,
        seed=seed,
        learn_weights=learn_weights,
        referral=referral or Referral(),
    )


def counts_of(text: str) -> tuple[int, ...]:
    """Read numbers of good parts, separated by commas.

    Raises
    ------
    BadParameter
    """
    words = [word for word in text.replace(" ", "").split(",") if word]
    if not all(word.isdecimal() and int(word) for word in words):
        raise typer.BadParameter(
            f"{text!r} was given; whole numbers from 1 were promised, e.g. 1,2,4,8,16",
            param_hint="--few",
        )
    return tuple(int(word) for word in words)


def cache_of(folder: Path | None, most_bytes: int) -> "SceneCache | None":
    """Open the cache of scenes, where one is wanted."""
    if folder is None:
        return None
    from mmdefect.cache import SceneCache

    return SceneCache(folder, most_bytes)


def _features(given: list[str], card: str) -> dict[str, str]:
    """Read SENSOR=SPEC; a SPEC alone is for every sensor that is not named."""
    from mmdefect.cards import read_card
    from mmdefect.errors import CardError
    from mmdefect.features import extractor

    sensors = read_card(card).sensors
    everywhere: dict[str, str] = {}
    named: dict[str, str] = {}
    for text in given:
        sensor, equals, spec = text.partition("=")
        if not equals or any(mark in sensor for mark in ":@?"):
            everywhere = dict.fromkeys(sensors, text)
        elif sensor in sensors:
            named[sensor] = spec
        else:
            raise CardError(
                f"--features names the sensor {sensor!r}; the card has: {', '.join(sensors)}"
            )
    for spec in {*everywhere.values(), *named.values()}:
        extractor(spec)
    return everywhere | named
