"""``mmdefect explain``."""

from pathlib import Path
from typing import Annotated

import typer

from mmdefect.cli import _options as options
from mmdefect.cli._exits import DONE, NOTHING_DONE, REFUSALS


def command(
    model: options.Model,
    paths: Annotated[
        list[Path],
        typer.Argument(help="Folders in the grammar of the model's card, or any frame of a part."),
    ],
    json: Annotated[bool, typer.Option("--json", help="One line of JSON a capture.")] = False,
    nearest: Annotated[
        int, typer.Option(min=1, help="Good parts that are told beside a strange patch.")
    ] = 3,
) -> None:
    """Say why captures are judged as they are: shares, regions in mm and K, good parts beside."""
    from json import dumps

    from mmdefect.reasons import explain

    explained, refused = 0, 0
    for line, explanation in explain(model, paths, nearest):
        explained += explanation is not None
        refused += bool(line["refused"])
        if json:
            typer.echo(dumps(line, allow_nan=False))
        elif explanation is not None:
            typer.echo(f"{explanation.words}\n")
        for refusal in line["refused"]:
            typer.echo(f"refused: {refusal['file'] or line['capture']}: {refusal['why']}", err=True)
    raise typer.Exit(NOTHING_DONE if not explained else REFUSALS if refused else DONE)
