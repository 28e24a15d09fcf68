"""``mmdefect undo``."""

import typer

from mmdefect.cli import _options as options


def command(model: options.Model) -> None:
    """Take the last change of a model back; the history keeps both."""
    from mmdefect.model import ModelFolder

    change = ModelFolder(model).undo()
    told = change.told
    typer.echo(f"took back change {told['took_back']} ({told['which_was']})")
