"""``mmdefect simulate``."""

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer


def command(
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
