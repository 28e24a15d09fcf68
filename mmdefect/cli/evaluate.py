"""``mmdefect evaluate``."""

from pathlib import Path
from typing import Annotated

import typer

from mmdefect.cli import _options as options
from mmdefect.cli._exits import DONE, REFUSALS


def command(
    card: options.CardName,
    root: options.Root,
    category: Annotated[
        list[str] | None, typer.Option("--category", help="Use only this; may be repeated.")
    ] = None,
    sensors: options.Sensors = "",
    features: options.Features = None,
    detector: options.Detector = "memory_bank",
    fusion: options.Fusion = "late",
    false_alarm: options.FalseAlarm = 0.05,
    bank_bytes: options.BankBytes = 512 << 20,
    seed: options.Seed = 0,
    learn_weights: options.LearnWeights = False,
    refer_up_to: options.ReferUpTo = 0.0,
    costs: options.Costs = "",
    defect_rate: options.DefectRate = 0.01,
    few: Annotated[
        str,
        typer.Option(
            help="Also rank the test parts after learning from so few good parts, e.g. 1,2,4,8,16."
        ),
    ] = "",
    cache: options.Cache = None,
    cache_bytes: options.CacheBytes = options.CACHE_BYTES,
    viewer_bytes: options.ViewerBytes = 256 << 20,
    readers: options.Readers = 0,
    workers: options.Workers = 0,
    scheduler: options.Scheduler = "",
    out: Annotated[
        Path, typer.Option(help="The folder for the results; a run that was killed goes on here.")
    ] = Path("mmdefect-results"),
) -> None:
    """Learn good parts, judge the test parts, say how well."""
    from mmdefect.cli._tell import out_console, tell
    from mmdefect.evaluate import evaluate as run
    from mmdefect.hands import hired
    from mmdefect.progress import progress_shown
    from mmdefect.report import console_table

    band = options.referral_of(refer_up_to, costs, defect_rate)
    how = (sensors, features, detector, fusion, false_alarm, bank_bytes, seed, learn_weights)
    settings = options.settings_of(card, *how, band)
    with progress_shown(), hired(workers, scheduler) as hands:
        results = run(
            card,
            root,
            out,
            categories=category or (),
            settings=settings,
            cache=options.cache_of(cache, cache_bytes),
            readers=readers,
            few=options.counts_of(few),
            viewer_bytes=viewer_bytes,
            hands=hands,
        )
    out_console().print(console_table(results))
    tell(results["notes"], results["refused"])
    typer.echo(f"report:  {out / 'report.html'}")
    typer.echo(f"results: {out / 'results.json'}")
    raise typer.Exit(REFUSALS if results["refused"] else DONE)
