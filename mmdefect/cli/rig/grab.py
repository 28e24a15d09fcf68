"""``mmdefect rig grab``."""

from pathlib import Path
from typing import Annotated

import typer

from mmdefect.cli._exits import DONE, NOTHING_DONE, REFUSALS
from mmdefect.cli.rig import _options as options


def command(
    cameras: options.Cameras,
    out: Annotated[
        Path | None, typer.Option(help="Write the frames below this folder, without a card.")
    ] = None,
    idle: options.Idle = None,
) -> None:
    """Take one capture and say what each sensor saw."""
    from contextlib import ExitStack

    from mmdefect.acquire.measuring import measured
    from mmdefect.acquire.recording import Recorder, Target
    from mmdefect.acquire.session import Session
    from mmdefect.acquire.setup import read_setup

    setup = read_setup(cameras)
    with ExitStack() as stack:
        recorder = stack.enter_context(Recorder(Target(out, kind=""), setup)) if out else None
        session = stack.enter_context(Session(setup))
        taken = next(session.captures(1, idle=idle), None)
        if taken is None:
            typer.echo("no frame came", err=True)
            raise typer.Exit(NOTHING_DONE)
        for name, array in measured(taken.frames, setup.sensors).items():
            frame = taken.frames[setup.sensors[name].camera]
            formats = ", ".join(part.format for part in frame.parts)
            typer.echo(f"{name:<9} {options.summary(array)}; frame {frame.number} of {formats}")
            if frame.scan3d is not None and setup.sensors[name].adapter in ("points", "depth"):
                typer.echo(f"          {frame.scan3d.told()}")
        for name, seat in setup.sensors.items():
            if seat.camera in taken.missing:
                why = taken.damaged.get(seat.camera, "no frame came")
                typer.echo(f"{name:<9} missing: {why}")
        if recorder is not None:
            row = recorder.write(taken)
            typer.echo(f"written:  {', '.join(row['frames'].values())} below {out}")
        refused = options.tell_refused(session)
    complete = not taken.missing and not refused
    raise typer.Exit(DONE if complete else REFUSALS if taken.frames else NOTHING_DONE)
