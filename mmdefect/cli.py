"""The command line: simulate, evaluate, list.

Commands import what they need when they run, so ``--help`` and completion stay fast. Exit codes:
0 done; 1 done, with refusals listed; 2 nothing done.
"""

import os
import shlex
import traceback
from pathlib import Path
from typing import Annotated

import typer

from mmdefect import __version__
from mmdefect.commands.card import card as propose_card
from mmdefect.commands.doctor import doctor
from mmdefect.errors import MmdefectError

app = typer.Typer(
    name="mmdefect",
    help="Multimodal industrial inspection: RGB, 3D, infrared and X-ray on one registered grid.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.command(name="doctor")(doctor)
app.command(name="card")(propose_card)

DONE, REFUSALS, NOTHING_DONE = 0, 1, 2
_WIDTH = 120


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mmdefect {__version__}")
        raise typer.Exit


@app.callback()
def _door(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Say which.")
    ] = False,
) -> None:
    pass


@app.command()
def simulate(
    out: Annotated[Path, typer.Argument(help="A new folder for the captures and their card.")],
    product: Annotated[
        list[str] | None,
        typer.Option("--product", help="bracket, panel or board; may be repeated. Default: all."),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option("--kind", help="Only these kinds of defect; may be repeated."),
    ] = None,
    train: Annotated[int, typer.Option(min=1, help="Good captures of each to learn from.")] = 40,
    test: Annotated[int, typer.Option(min=1, help="Captures of each to test.")] = 60,
    size: Annotated[int, typer.Option(help="Rows and columns of the reference camera.")] = 256,
    seed: Annotated[int, typer.Option(help="Draws the parts.")] = 0,
    layout: Annotated[
        str, typer.Option(help="station: four sensors and a rig file; mvtec3d: RGB and points.")
    ] = "station",
    workers: Annotated[
        int, typer.Option(min=0, help="Processes to share the work; 0: one a core.")
    ] = 0,
) -> None:
    """Write the captures of a simulated station, with known defects."""
    from mmdefect.progress import progress_shown, track
    from mmdefect.simulate import simulate as write_captures

    with progress_shown():
        card = write_captures(
            out,
            products=product or (),
            kinds=kind or (),
            train=train,
            test=test,
            seed=seed,
            size=size,
            layout=layout,
            workers=workers or os.cpu_count() or 1,
            track=track,
        )
    places = f"{shlex.quote(str(card))} {shlex.quote(str(out))}"
    typer.echo(f"wrote the captures below {out}; next:\n  mmdefect evaluate {places}")


@app.command()
def evaluate(
    card: Annotated[str, typer.Argument(help="A card's name, or the path of a TOML file.")],
    root: Annotated[Path, typer.Argument(help="The folder of the captures.")],
    category: Annotated[
        list[str] | None, typer.Option("--category", help="Use only this; may be repeated.")
    ] = None,
    sensors: Annotated[
        str, typer.Option(help="Use only these, separated by commas, e.g. rgb,points.")
    ] = "",
    features: Annotated[
        list[str] | None,
        typer.Option(
            "--features",
            help="SENSOR=SPEC, or SPEC for all; may be repeated. SPEC is 'builtin' or like "
            "'timm:resnet18@FILE?stages=2,3'.",
        ),
    ] = None,
    detector: Annotated[str, typer.Option(help="A detector's name.")] = "memory_bank",
    fusion: Annotated[str, typer.Option(help="A fusion's name.")] = "late",
    false_alarm: Annotated[
        float, typer.Option(help="Wanted rate of good parts called defective, in (0, 1).")
    ] = 0.05,
    bank_bytes: Annotated[
        int, typer.Option(min=1 << 20, help="Bytes the detectors may hold while fitting.")
    ] = 512 << 20,
    seed: Annotated[int, typer.Option(help="Of every random step.")] = 0,
    out: Annotated[Path, typer.Option(help="The folder for the results.")] = Path(
        "mmdefect-results"
    ),
) -> None:
    """Learn good parts, judge the test parts, say how well."""
    from mmdefect.evaluate import Settings
    from mmdefect.evaluate import evaluate as run
    from mmdefect.progress import progress_shown

    if not 0 < false_alarm < 1:
        raise typer.BadParameter("a rate between 0 and 1 was promised", param_hint="--false-alarm")
    settings = Settings(
        sensors=tuple(name for name in sensors.split(",") if name),
        features=_features(features or [], card),
        detector=detector,
        fusion=fusion,
        false_alarm=false_alarm,
        bank_bytes=bank_bytes,
        seed=seed,
    )
    with progress_shown():
        results = run(card, root, out, categories=category or (), settings=settings)
    _tell(results, out)
    raise typer.Exit(REFUSALS if results["refused"] else DONE)


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


def _tell(results: dict[str, object], out: Path) -> None:
    """Print the table, the notes, what was refused, and where everything lies."""
    from rich.console import Console

    from mmdefect.report import console_table

    console = Console()
    if not console.is_terminal:  # a file or a pipe has no edge at which to break names
        console.width = max(console.width, _WIDTH)
    console.print(console_table(results))
    errors = Console(stderr=True, soft_wrap=True, markup=False, highlight=False)
    for note in results["notes"]:  # type: ignore[attr-defined]
        errors.print(f"note: {note}", style="yellow")
    for refusal in results["refused"]:  # type: ignore[attr-defined]
        place = refusal["file"] or refusal["capture"]
        errors.print(f"refused: {place}: {refusal['why']}", style="red")
    typer.echo(f"report:  {out / 'report.html'}")
    typer.echo(f"results: {out / 'results.json'}")


@app.command(name="list")
def list_names() -> None:
    """List cards, sensors, features, detectors, fusions and explainers."""
    from mmdefect.cards import card_names
    from mmdefect.registry import KINDS, names

    typer.echo("cards      " + " ".join(card_names()))
    for kind in KINDS:
        typer.echo(f"{kind:<10} " + " ".join(names(kind)))


def main() -> None:
    """Run the command line; a known error is one line and exit code 2.

    Threads of numerical libraries wait asleep, unless the user says otherwise: spinning, as is
    their habit, made the same work three times as slow on a busy two-core machine.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        app()
    except MmdefectError as error:
        typer.echo(f"mmdefect: {error}", err=True)
        raise SystemExit(NOTHING_DONE) from error
    except Exception as error:  # a mistake of ours must not look like "done, with refusals"
        traceback.print_exc()
        raise SystemExit(NOTHING_DONE) from error
