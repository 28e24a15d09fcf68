"""``mmdefect ablate``."""

from pathlib import Path
from typing import Annotated

import typer

from mmdefect.cli import _options as options
from mmdefect.cli._exits import DONE, REFUSALS


def command(
    card: options.CardName,
    root: options.Root,
    category: Annotated[str, typer.Option(help="The kind of part, where there are several.")] = "",
    kind: Annotated[
        list[str] | None,
        typer.Option(
            "--kind",
            help="A kind of fusion: banks, transformer, both, mapping or concat; may be repeated. "
            "Sensors are taken away from the first. Default: all.",
        ),
    ] = None,
    sensors: options.Sensors = "",
    features: options.Features = None,
    detector: options.Detector = "memory_bank",
    false_alarm: options.FalseAlarm = 0.05,
    bank_bytes: options.BankBytes = 512 << 20,
    seed: options.Seed = 0,
    cache: options.Cache = None,
    cache_bytes: options.CacheBytes = options.CACHE_BYTES,
    out: Annotated[
        Path, typer.Option(help="The folder for the table; a run that was killed goes on here.")
    ] = Path("mmdefect-ablation"),
) -> None:
    """Say what each sensor, every subset of them and each kind of fusion is worth."""
    from mmdefect.ablation import ablate as run
    from mmdefect.ablation.tables import console_table, remarks
    from mmdefect.cli._tell import out_console, tell
    from mmdefect.progress import progress_shown

    settings = options.settings_of(
        card, sensors, features, detector, "late", false_alarm, bank_bytes, seed
    )
    scenes = options.cache_of(cache, cache_bytes)
    with progress_shown():
        results = run(
            card, root, out, category=category, kinds=kind or (), settings=settings, cache=scenes
        )
    out_console().print(console_table(results))
    for text in remarks(results):
        out_console().print(text, markup=False, highlight=False, soft_wrap=True)
    tell(results["notes"], results["refused"])
    typer.echo(f"table: {out / 'ablation.md'}")
    raise typer.Exit(REFUSALS if results["refused"] else DONE)
