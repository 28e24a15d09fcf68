"""``mmdefect inspect``."""

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
) -> None:
    """Judge captures: one line of JSON each, as soon as it is judged."""
    import json

    from mmdefect.line import inspect

    judged, refused = 0, 0
    for line in inspect(model, paths):
        judged += line["verdict"] is not None
        refused += bool(line["refused"])
        print(json.dumps(line, allow_nan=False), flush=True)
    raise typer.Exit(NOTHING_DONE if not judged else REFUSALS if refused else DONE)
