"""``mmdefect fit``."""

from pathlib import Path
from typing import Annotated

import typer

from mmdefect.cli import _options as options
from mmdefect.cli._exits import DONE, REFUSALS


def command(
    card: options.CardName,
    root: options.Root,
    out: Annotated[Path, typer.Option(help="A new folder for the model.")],
    category: Annotated[
        str, typer.Option(help="The kind of part; may be left out where there is one only.")
    ] = "",
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
    cache: options.Cache = None,
    cache_bytes: options.CacheBytes = options.CACHE_BYTES,
    readers: options.Readers = 0,
) -> None:
    """Learn good parts, and keep what was learnt as a model."""
    from mmdefect.cli._tell import tell
    from mmdefect.fitting import fit
    from mmdefect.progress import progress_shown

    band = options.referral_of(refer_up_to, costs, defect_rate)
    how = (sensors, features, detector, fusion, false_alarm, bank_bytes, seed, learn_weights)
    settings = options.settings_of(card, *how, band)
    scenes = options.cache_of(cache, cache_bytes)
    with progress_shown():
        inspection, dataset = fit(
            card, root, out, category=category, settings=settings, cache=scenes, readers=readers
        )
    tell(dict.fromkeys(dataset.notes), [refusal._asdict() for refusal in dataset.refused])
    typer.echo(repr(inspection))
    typer.echo(f"model:   {out}")
    raise typer.Exit(REFUSALS if dataset.refused else DONE)
