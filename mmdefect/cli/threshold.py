"""``mmdefect threshold``."""

from typing import Annotated

import typer

from mmdefect.cli import _options as options


def command(
    model: options.Model,
    false_alarm: Annotated[
        float, typer.Option(help="Wanted rate of good parts called defective, in (0, 1).")
    ],
) -> None:
    """Change the false-alarm rate of a model, without learning anything."""
    from mmdefect.description import describe, promise
    from mmdefect.update import set_false_alarm

    options.check_rate(false_alarm)
    before = describe(model)["false_alarm"]
    set_false_alarm(model, false_alarm)
    typer.echo(f"false-alarm rate {before:g} -> {false_alarm:g}; {promise(describe(model))}")
