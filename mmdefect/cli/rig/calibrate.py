"""``mmdefect rig calibrate``."""

from pathlib import Path
from typing import Annotated

import typer

from mmdefect.cli._exits import DONE, REFUSALS

Views = Annotated[
    Path, typer.Argument(help="One folder a camera, in it one frame a view of the target.")
]
TargetFile = Annotated[Path, typer.Argument(help="The file that describes the target.")]


def command(
    views: Views,
    target: TargetFile,
    out: Annotated[Path, typer.Argument(help="The rig file; its report comes beside it.")],
    reference: Annotated[
        str, typer.Option(help="The camera whose frame is the rig's; by default the first by name.")
    ] = "",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a rig file that is there.")
    ] = False,
) -> None:
    """Calibrate the cameras of a rig from views of a target, and write the rig file."""
    from mmdefect.calibration import calibrate_folder, fit_text

    fit = calibrate_folder(views, target, out=out, reference=reference or None, overwrite=overwrite)
    typer.echo(fit_text(fit))
    typer.echo(f"rig:      {out}")
    raise typer.Exit(REFUSALS if fit.outliers else DONE)
