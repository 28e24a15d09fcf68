"""``mmdefect threshold``."""

from typing import Annotated

import typer

from mmdefect.cli import _options as options


def command(
    model: options.Model,
    false_alarm: Annotated[
        float | None,
        typer.Option(help="Wanted rate of good parts called defective, in (0, 1)."),
    ] = None,
    refer_up_to: Annotated[
        float | None,
        typer.Option(help="Refer what is called good up to this p-value; 0: nothing."),
    ] = None,
    costs: options.Costs = "",
    defect_rate: options.DefectRate = 0.01,
) -> None:
    """Change the false-alarm rate of a model or what it refers, without learning anything."""
    from mmdefect.description import describe, promise
    from mmdefect.update import set_false_alarm

    if false_alarm is None and refer_up_to is None and not costs:
        raise typer.BadParameter("give --false-alarm, --refer-up-to or --costs")
    if false_alarm is not None:
        options.check_rate(false_alarm)
    banded = bool(costs) or refer_up_to is not None
    band = options.referral_of(refer_up_to or 0.0, costs, defect_rate) if banded else None
    before = describe(model)
    set_false_alarm(model, false_alarm, band)
    now = describe(model)
    if false_alarm is not None:
        typer.echo(
            f"false-alarm rate {before['false_alarm']:g} -> {now['false_alarm']:g}; {promise(now)}"
        )
    if banded:
        typer.echo(f"referred: {now['referred'] or 'what cannot be promised'}")
