"""``mmdefect rig check``."""

from pathlib import Path
from typing import Annotated

import typer

from mmdefect.cli._exits import DONE, REFUSALS
from mmdefect.cli.rig.calibrate import TargetFile, Views


def command(
    views: Views,
    target: TargetFile,
    rig: Annotated[Path, typer.Argument(help="The rig file.")],
    limit: Annotated[
        float | None, typer.Option(help="What errors may be, px; by default what the rig allows.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell from a few new views of the target whether a rig file still holds; else exit with 1."""
    import json

    from mmdefect.calibration import check_folder, check_rows, check_text

    check = check_folder(views, target, rig, limit=limit)
    typer.echo(json.dumps(check_rows(check)) if as_json else check_text(check))
    raise typer.Exit(DONE if check.holds else REFUSALS)
