"""``mmdefect update``."""

from pathlib import Path
from typing import Annotated

import typer

from mmdefect.cli import _options as options
from mmdefect.cli._exits import DONE, REFUSALS


def command(
    model: options.Model,
    card: options.CardName,
    good: Annotated[
        list[Path],
        typer.Argument(help="Folders or frames of captures that someone knows to be good."),
    ],
) -> None:
    """Take further good parts into a model; 'undo' takes that back."""
    from mmdefect.cli._tell import tell
    from mmdefect.progress import progress_shown
    from mmdefect.update import update

    with progress_shown():
        change, refused = update(model, card, good)
    tell([], [refusal._asdict() for refusal in refused])
    told = change.told
    typer.echo(
        f"learnt from {told['learnt_from']} parts ({told['patches']} new patches), "
        f"calibrated with {told['calibrated_with']}; change {change.number}"
    )
    raise typer.Exit(REFUSALS if refused else DONE)
