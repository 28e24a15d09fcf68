"""``mmdefect rig scan``."""

from pathlib import Path
from typing import Annotated

import typer

from mmdefect.cli._exits import DONE, REFUSALS
from mmdefect.cli.rig import _options as options


def command(
    cameras: options.Cameras,
    patterns: Annotated[Path, typer.Argument(help="The folder that 'rig patterns' wrote.")],
    out: Annotated[Path, typer.Argument(help="The folder of frames; made.")],
    show: Annotated[
        str,
        typer.Option(
            help="A command that shows a picture on the projector, with {} for its path; by "
            "default you are asked to show each yourself."
        ),
    ] = "",
    settle: Annotated[
        float, typer.Option(min=0.0, help="Seconds from showing a pattern to the trigger.")
    ] = 0.2,
) -> None:
    """Record a frame of every pattern: a capture that 'rig decode' takes."""
    from mmdefect.acquire.scanning import scan, shower
    from mmdefect.acquire.session import Session
    from mmdefect.acquire.setup import read_setup

    setup = read_setup(cameras)
    way = shower(show) if show else _ask
    with Session(setup) as session:
        stacks = scan(session, patterns, out, way, settle=settle)
        refused = options.tell_refused(session)
    for name, folder in stacks.items():
        typer.echo(f"{name:<9} {folder}")
    raise typer.Exit(REFUSALS if refused else DONE)


def _ask(picture: Path) -> None:
    """Let a person show a picture."""
    typer.prompt(f"show {picture}, then press Enter", default="", show_default=False, err=True)
