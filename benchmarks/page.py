"""Writes docs/performance.md from what the rows measured."""

import json
from pathlib import Path

HERE = Path(__file__).resolve().parent
ORDER = ["background", "fpfh", "resize", "coreset", "stream", "search", "pixels", "backbone",
         "registration", "predict", "reading", "importing", "scaling"]  # fmt: skip
HEAD = """# Speed and memory

Every hot path against the fastest rival that is to be had, by one command:

```
make bench                                    # all rows: half an hour
.venv-bench/bin/python benchmarks/bench.py --only fpfh   # one row
.venv-bench/bin/python benchmarks/bench.py --only search --case "784 x 7840"  # some cases of it
.venv-bench/bin/python benchmarks/bench.py --quick       # small inputs, minutes, writes nothing
```

Every case runs in processes of its own, with one thread and with two; in a process all ways take
turns on the same input. A **ratio** is the rival's time over ours within a turn: the median, and
the smallest and largest turn in brackets. Ratios are of *processor time*, which other work on the
machine disturbs least; the seconds and the ratio by the clock are from the same turns. `load` is
the system's load average as the case began: where it is well above the number of threads, other
work was running. Where a second thread shares a core with the first, it adds to processor time and
takes little from the clock. **Memory** is the largest resident size while a way runs over the one
before it.

"""


def write() -> None:
    """Write the page."""
    kept = {path.stem: json.loads(path.read_text()) for path in (HERE / "measured").glob("*.json")}
    names = [name for name in ORDER if name in kept] + sorted(kept.keys() - set(ORDER))
    text = HEAD + "\n".join(section(name, kept[name]) for name in names)
    rows = {path.stem for path in (HERE / "rows").glob("[!_]*.py")}
    left = ", ".join(f"`{name}`" for name in sorted(rows - kept.keys()))
    text += f"\nRows that are there and were not measured yet: {left}.\n" if left else ""
    after = HERE / "after.md"
    text += "\n" + after.read_text() if after.exists() else ""
    (HERE.parent / "docs" / "performance.md").write_text(text)


def section(name: str, row: dict) -> str:
    """Tell one row."""
    own = row["machine"]
    said = row["told"].strip()
    versions = ", ".join(f"{key} {value}" for key, value in own["versions"].items())
    lines = [f"## {row['title']}", "", said, "", *table(row["cases"]), ""]
    lines += agreements(row["cases"])
    lines += [
        f"`--only {name}`, {own['date']}, {own['processor']}, {own['cores']} cores, "
        f"Python {own['python']}; {versions}.",
        "",
    ]
    return "\n".join(lines)


def table(cases: dict) -> list[str]:
    """Set out the times."""
    lines = [
        "| case | threads | load | way | clock | processor | ratio of processor time "
        "| of the clock | memory | asked |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for case, told in cases.items():
        if "missing" in told:
            lines.append(f"| {case} | | | | left out: {told['missing']} | | | | | |")
            continue
        for threads, timed in told["timed"].items():
            lines += entries(case, threads, timed, told) if timed else []
    return lines


def entries(case: str, threads: str, timed: dict, told: dict) -> list[str]:
    """Give a line for each way of one case and number of threads."""
    lines = []
    for way, (clock, busy) in timed["seconds"].items():
        ratio = timed["ratios"].get(way)
        goal = told["targets"].get(way)
        asked = ""
        if goal is not None:
            found = ratio["processor"][0]
            asked = f"≥ {goal:g}×: {'**met**' if found >= goal else '**missed**'}"
        elif way == "ours" and told["limit"] is not None:
            asked = (
                f"≤ {span(told['limit'])}: {'**met**' if clock <= told['limit'] else '**missed**'}"
            )
        first = f"| {case} | {threads} | {timed['load']:.1f} " if way == "ours" else "| | | "
        held = size(told["bytes"].get(way)) if threads == min(told["timed"], key=int) else ""
        lines.append(
            f"{first}| {way} | {span(clock)} | {span(busy)} | "
            f"{spread(ratio, 'processor')} | {spread(ratio, 'clock')} | {held} | {asked} |"
        )
    return lines


def agreements(cases: dict) -> list[str]:
    """Tell what was checked of the results."""
    lines = []
    for case, told in cases.items():
        most, held = told.get("bytes_most"), told.get("bytes", {}).get("ours")
        if most is not None and isinstance(held, int):
            lines.append(
                f"- {case}: memory of ours {size(held)} (asked ≤ {size(int(most))}: "
                f"{verdict(held <= most)})"
            )
        for way, times in told.get("scale", {}).items():
            lines.append(f"- {case}: {way} did 1/{times:.4g} of the work; its time is reckoned")
        for timed in filter(None, told.get("timed", {}).values()):
            for what, found, least, most, kept in timed["checks"]:
                bound = "" if least is None else f" ≥ {least:g}"
                bound += "" if most is None else f" ≤ {most:g}"
                asked = "" if kept is None else f" (asked{bound}: {verdict(kept)})"
                lines.append(f"- {case}: {what} {found:.6g}{asked}")
    return [*lines, ""] if lines else []


def verdict(kept: bool) -> str:
    """Tell whether something keeps to its bound."""
    return "**met**" if kept else "**missed**"


def span(seconds: float) -> str:
    """Tell a time in the unit it is read in."""
    if seconds >= 1:
        return f"{seconds:.2f} s" if seconds < 100 else f"{seconds:.0f} s"
    return f"{1e3 * seconds:.3g} ms" if seconds >= 1e-3 else f"{1e6 * seconds:.0f} µs"


def spread(ratio: dict | None, which: str) -> str:
    """Tell a ratio and its range."""
    if ratio is None:
        return ""
    middle, low, high = ratio[which]
    return f"{middle:.3g} ({low:.3g}–{high:.3g})" if low != high else f"{middle:.3g}"


def size(count: object) -> str:
    """Tell a number of bytes."""
    return f"{count / 2**20:.0f} MB" if isinstance(count, int) else ""
