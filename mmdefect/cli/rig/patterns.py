"""``mmdefect rig patterns``."""

from pathlib import Path
from typing import Annotated

import typer

from mmdefect.cli._exits import DONE


def command(
    out: Annotated[Path, typer.Argument(help="The folder of the patterns; made.")],
    size: Annotated[str, typer.Option(help="The projector's columns and rows: 1280x800.")],
    code: Annotated[
        str, typer.Option(help="gray, binary, temporal, heterodyne or number.")
    ] = "gray",
    period: Annotated[
        list[float] | None,
        typer.Option("--period", help="Of the fringes, px; may be repeated. 0 for stripes alone."),
    ] = None,
    steps: Annotated[int, typer.Option(min=3, max=64, help="Shifts of a fringe.")] = 8,
    axis: Annotated[
        list[str] | None, typer.Option("--axis", help="column or row; may be repeated.")
    ] = None,
    gamma: Annotated[float, typer.Option(help="The projector's, to be undone.")] = 1.0,
) -> None:
    """Write the patterns of structured light for a projector, and the file that describes them."""
    from mmdefect.structured.patterns import write_patterns

    periods = tuple(length for length in period or [18.0] if length)
    stack = write_patterns(
        out,
        _size(size),
        code,
        periods=periods,
        steps=steps,
        axes=tuple(axis or ["column"]),
        gamma=gamma,
    )
    told = ", ".join(f"{length:.4g}" for length in stack.code.periods) or "none"
    typer.echo(f"patterns: {len(stack.code)} in {out}, fringes of {told} px")
    typer.echo(f"describe: {out / 'stack.toml'}; a copy belongs beside the camera's frames")
    raise typer.Exit(DONE)


def _size(text: str) -> tuple[int, int]:
    """Read COLUMNSxROWS."""
    columns, cross, rows = text.lower().partition("x")
    if not (cross and columns.isdecimal() and rows.isdecimal()):
        raise typer.BadParameter("columns and rows were promised, like 1280x800", param_hint="size")
    return int(columns), int(rows)
