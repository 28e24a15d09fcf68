"""``mmdefect doctor``: what is in a data set, before anyone trains on it."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from mmdefect.cli import _options as options

if TYPE_CHECKING:
    from rich.console import Console

    from mmdefect.doctor import Examination, Finding

FIT, UNFIT = 0, 1
_STYLES = {"wrong": "bold red", "doubtful": "yellow", "good to know": "cyan"}
_NAMED = 3
_WIDTH = 120


def command(
    card: options.CardName,
    root: options.Root,
    category: Annotated[
        list[str] | None, typer.Option("--category", help="Look at this only; may be repeated.")
    ] = None,
    sensors: Annotated[
        str, typer.Option(help="Look at these only, separated by commas, e.g. rgb,points.")
    ] = "",
    skip: Annotated[
        str,
        typer.Option(help="Leave these checks out, separated by commas, e.g. bump,copies."),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Look at a data set and say what would make training wrong.

    Exit code 0: nothing would; 1: something would; 2: it could not be looked at.
    """
    from mmdefect.doctor import examine
    from mmdefect.progress import progress_shown

    with progress_shown():
        found = examine(
            card,
            root,
            categories=category or (),
            sensors=[name for name in sensors.split(",") if name],
            skip=[name for name in skip.split(",") if name],
        )
    if as_json:
        typer.echo(json.dumps(found.as_json(), indent=1, allow_nan=False))
    else:
        _tell(found)
    raise typer.Exit(FIT if found.is_fit_for_training else UNFIT)


def _tell(found: "Examination") -> None:
    """Print what is there, then the findings, the gravest first."""
    from rich.console import Console

    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, _WIDTH)
    for category, splits in found.contents.items():
        console.print(category, style="bold")
        for split, kinds in splits.items():
            told = ", ".join(f"{kind} {count}" for kind, count in kinds.items())
            console.print(f"  {split}: {sum(kinds.values())} captures ({told})")
        for sensor, numbers in found.sensors[category].items():
            console.print(f"  {sensor}: {_numbers(numbers)}")
    for finding in found.findings:
        _tell_one(console, finding)
    counts = found.as_json()["counts"]
    console.print("\n" + ", ".join(f"{count} {severity}" for severity, count in counts.items()))
    if found.skipped:
        console.print(f"not looked at: {', '.join(found.skipped)}")


def _numbers(numbers: dict[str, float | str | int]) -> str:
    """Write what a sensor's frames look like."""
    if not numbers["frames"]:
        return "no frame"
    unit = "" if numbers["units"] in ("1", "relative") else f" {numbers['units']}"
    return (
        f"{numbers['frames']} frames, {numbers['low']:.4g} to {numbers['high']:.4g}{unit} "
        f"({numbers['units']}), {numbers['invalid_share']:.1%} invalid"
    )


def _tell_one(console: "Console", finding: "Finding") -> None:
    """Print one finding."""
    place = ", ".join(name for name in (finding.category, finding.sensor) if name)
    head = f"{finding.severity} [{finding.check}] {place + ': ' if place else ''}{finding.what}"
    console.print("\n" + head, style=_STYLES[finding.severity])
    console.print(f"  why: {finding.why}\n  do:  {finding.do}")
    if finding.captures:
        more = finding.count - _NAMED
        named = ", ".join(finding.captures[:_NAMED])
        console.print(f"  {named}{f' and {more} more' if more > 0 else ''}", style="dim")
