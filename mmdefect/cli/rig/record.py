"""``mmdefect rig record``."""

from pathlib import Path
from typing import Annotated

import typer

from mmdefect.cli._exits import DONE, NOTHING_DONE, REFUSALS
from mmdefect.cli.rig import _options as options


def command(
    cameras: options.Cameras,
    out: Annotated[Path, typer.Argument(help="The folder of captures; gets a card.toml.")],
    count: Annotated[
        int | None, typer.Option(min=1, help="How many captures; by default until stopped.")
    ] = None,
    split: Annotated[str, typer.Option(help="train, test or calibration; '' for none.")] = "train",
    kind: Annotated[
        str,
        typer.Option(help="good, or a kind of defect; '' to write for a folder that is watched."),
    ] = "good",
    rig: Annotated[Path | None, typer.Option(help="A rig file that goes along.")] = None,
    every: Annotated[float, typer.Option(min=0.0, help="Seconds between two captures.")] = 0.0,
    idle: options.Idle = None,
) -> None:
    """Record captures as a folder that every other command takes: one line of JSON each."""
    import json
    import time

    from mmdefect.acquire.recording import Recorder, Target
    from mmdefect.acquire.session import Session
    from mmdefect.acquire.setup import read_setup

    setup = read_setup(cameras)
    split = split if kind else ""
    written, incomplete = 0, 0
    with Recorder(Target(out, split, kind, rig), setup) as recorder, Session(setup) as session:
        for taken in session.captures(count, idle=idle):
            row = recorder.write(taken)
            written += 1
            incomplete += bool(row["missing"])
            print(json.dumps(row), flush=True)
            time.sleep(every if written != count else 0)
        refused = options.tell_refused(session)
    if not written:
        raise typer.Exit(NOTHING_DONE)
    raise typer.Exit(REFUSALS if incomplete or refused else DONE)
