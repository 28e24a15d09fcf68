"""``mmdefect model``."""

from typing import Annotated

import typer

from mmdefect.cli import _options as options


def command(
    model: options.Model,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """Tell what a model holds, and how it became what it is."""
    import json

    from mmdefect.description import describe, lines_of

    told = describe(model)
    if as_json:
        typer.echo(json.dumps(told, indent=1, allow_nan=False))
    else:
        typer.echo("\n".join(lines_of(told)))
