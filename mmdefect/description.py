"""What a model holds, told to who keeps it."""

from pathlib import Path
from typing import Any

from mmdefect.errors import ModelError
from mmdefect.inspection import Inspection
from mmdefect.provenance import versions

Row = dict[str, Any]


def describe(path: str | Path) -> Row:
    """Tell what a model holds, as JSON has it.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    dict

    Raises
    ------
    ModelError
        When it cannot be read.
    """
    inspection = Inspection.load(path)
    folder = inspection.model_
    if folder is None:
        raise ModelError(f"'{path}' holds no model")
    facts, origin = folder.facts, inspection.origin_
    evidence = inspection.calibration_.evidence
    return {
        "model": str(path),
        "hash": folder.hash,
        **{key: facts[key] for key in ("format", "mmdefect", "created", "category")},
        "card": origin.card.name if origin else None,
        "size": facts["size"],
        "sensors": {
            name: {
                "features": facts["features"].get(name),
                "frame_size": facts["frame_sizes"].get(name),
                "calibration_parts": int((evidence[:, column] == evidence[:, column]).sum()),
            }
            for column, name in enumerate(inspection.calibration_.sensors)
        },
        "learnt": repr(inspection.fusion),
        "parts": {
            "fit": len(origin.fit) if origin else None,
            "calibration": len(evidence),
        },
        "manifest": facts["manifest"],
        "knows_good": facts["knows_good"],
        "false_alarm": inspection.false_alarm,
        "smallest_false_alarm": inspection.smallest_false_alarm,
        "referral": inspection.refer.state(),
        "referred": inspection.refer.words,
        "zones": {
            zone.name: "ignored" if zone.ignore else zone.false_alarm
            for zone in inspection.zones.entries
        },
        "settings": facts["settings"],
        "versions": facts["versions"],
        "bytes": sum(p.stat().st_size for p in Path(path).rglob("*") if p.is_file()),
        "history": [
            {k: v for k, v in vars(change).items() if k != "before"} for change in folder.history
        ],
    }


def promise(told: Row) -> str:
    """Say in words whether the false-alarm rate can be promised.

    Parameters
    ----------
    told : dict
        What `describe` gave.

    Returns
    -------
    str
    """
    if not told["knows_good"]:
        return "only good pixels of defective parts were learnt from: every verdict is 'refer'"
    parts, smallest = told["parts"]["calibration"], told["smallest_false_alarm"]
    if smallest <= told["false_alarm"]:
        return f"promised by {parts} calibration parts, which could promise {smallest:.3g}"
    return (
        f"{parts} calibration parts promise {smallest:.3g} at best: verdicts are 'refer' until "
        "more good parts calibrate (mmdefect update)"
    )


def lines_of(told: Row) -> list[str]:
    """Tell a model in lines of text.

    Parameters
    ----------
    told : dict
        What `describe` gave.

    Returns
    -------
    list of str
    """
    height, width = told["size"]
    lines = [
        f"model        {told['model']} ({told['bytes'] / 2**20:.1f} MiB)",
        f"hash         {told['hash']}",
        f"part         {told['category'] or 'unknown'}, card {told['card'] or 'none'}, "
        f"{height}x{width} pixels",
        f"learnt from  {told['parts']['fit'] if told['parts']['fit'] is not None else '?'} parts; "
        f"calibrated with {told['parts']['calibration']}",
        f"false alarms {told['false_alarm']:g}; {promise(told)}",
        f"referred     {told['referred'] or 'what cannot be promised'}",
        f"manifest     {told['manifest'] or 'unknown'}",
        f"made by      mmdefect {told['mmdefect']}, format {told['format']}, {told['created']}",
    ]
    for name, own in told["sensors"].items():
        size = own["frame_size"]
        shown = f", frames {size[0]}x{size[1]}" if size else ""
        lines.append(f"sensor       {name}: {own['features'] or 'unknown features'}{shown}")
    lines += [f"zone         {name}: {share}" for name, share in told["zones"].items()]
    here = versions()
    lines += [
        f"note         made with {name} {version}, here is {here.get(name)}: the last digits of "
        "scores may differ"
        for name, version in told["versions"].items()
        if name in ("numpy", "torch", "timm") and here.get(name) != version
    ]
    return [*lines, *map(_change_line, told["history"])]


def _change_line(change: Row) -> str:
    """Tell one change of the history."""
    told = change["told"]
    more = {
        "update": "learnt from {learnt_from}, calibrated with {calibrated_with}",
        "undo": "took back change {took_back} ({which_was})",
    }.get(change["what"], "")
    words = f", {more.format(**told)}" if more else ""
    return (
        f"change {change['number']:<5} {change['when']} {change['what']}, false alarms "
        f"{change['false_alarm']:g}{words}"
    )
