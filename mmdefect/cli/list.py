"""``mmdefect list``."""

import typer


def command() -> None:
    """List cards, sensors, features, detectors, fusions and explainers."""
    from mmdefect.cards import card_names
    from mmdefect.registry import KINDS, names

    typer.echo("cards      " + " ".join(card_names()))
    for kind in KINDS:
        typer.echo(f"{kind:<10} " + " ".join(names(kind)))
