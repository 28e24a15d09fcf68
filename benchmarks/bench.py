"""Every hot path against its rivals: ``make bench``, which writes docs/performance.md.

    python benchmarks/bench.py [--only ROW]... [--case TEXT] [--quick] [--page]

A row is a file of ``benchmarks/rows``; it names its cases, and each case is measured in processes
of its own: one for one thread, one for two, and one for the memory of each way. In a process all
ways take turns (A B C A B C …) on the same input, after one turn that does not count. Told are
medians over the turns, the median ratio of the rival to ours within a turn and its range, and how
far the results agree. Ratios are of processor time, which another load on the machine disturbs
least; those of the clock stand beside them. Memory is the largest resident size while a way runs
over the one before it.

``--quick`` takes smaller inputs or fewer turns, and writes no page. ``--page`` writes the page from
what was measured before, in ``benchmarks/measured``.
"""

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
MEASURED = HERE / "measured"
POOLS = ("OMP", "OPENBLAS", "MKL", "NUMBA")


def rows() -> list[str]:
    """Name the rows, in the order of the page."""
    from page import ORDER

    there = {path.stem for path in (HERE / "rows").glob("[!_]*.py")}
    return [name for name in ORDER if name in there] + sorted(there - set(ORDER))


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--only", action="append", choices=rows())
    asked.add_argument("--case", default="", help="only cases with this in their name")
    asked.add_argument("--quick", action="store_true")
    asked.add_argument("--page", action="store_true")
    asked.add_argument("--one", nargs=4, help="used by this script itself")
    told = asked.parse_args()
    if told.one:
        print("\n" + json.dumps(one(*told.one, quick=told.quick)))
        return
    if not told.page:
        for name in told.only or rows():
            measure(name, told.quick, told.case)
    if not told.quick:
        from page import write

        write()


def measure(name: str, quick: bool, part: str = "") -> None:
    """Measure a row, case by case, and keep what was found beside what was found before."""
    row = importlib.import_module(f"rows.{name}")
    cases, kept = list(row.cases(quick)), MEASURED / f"{name}.json"
    found = {"title": row.TITLE, "told": row.__doc__, "machine": machine(), "cases": {}}
    if kept.exists():
        before = json.loads(kept.read_text())["cases"]
        found["cases"] = {case: before[case] for case in cases if case in before}
    for case in (case for case in cases if part in case):
        told = child(name, case, "plan", 1, quick)
        if "missing" in told:
            print(f"{name} / {case}: left out, {told['missing']}", flush=True)
            found["cases"][case] = told
            continue
        told["timed"] = {n: child(name, case, "time", n, quick) for n in told["threads"]}
        ways = ["ours", *told["rivals"]] if told["memory"] else []
        told["bytes"] = {way: child(name, case, f"memory {way}", 1, quick) for way in ways}
        found["cases"][case] = told
        print(f"{name} / {case}: {json.dumps(told)}", flush=True)
    if not quick:
        MEASURED.mkdir(exist_ok=True)
        kept.write_text(json.dumps(found, indent=1) + "\n")


def child(name: str, case: str, what: str, threads: int, quick: bool) -> dict | int:
    """Do one thing in a process of its own."""
    command = [sys.executable, __file__, "--one", name, case, what, str(threads)]
    pools = {f"{pool}_NUM_THREADS": str(threads) for pool in POOLS}
    done = subprocess.run(
        [*command, *(["--quick"] if quick else [])],
        env={**os.environ, **pools, "PYTHONWARNINGS": "ignore"},
        stdout=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        return {"missing": f"'{what}' ended with {done.returncode}"} if what == "plan" else {}
    return json.loads(done.stdout.splitlines()[-1])


def one(name: str, case: str, what: str, threads: str, quick: bool) -> dict | int:
    """Do one thing, here."""
    row = importlib.import_module(f"rows.{name}")
    try:
        made = row.cases(quick)[case]()
    except ImportError as error:
        return {"missing": f"{error.name} is not installed"}
    if what == "plan":
        shares = {"rivals": list(made.rivals), "targets": dict(made.targets)}
        shares |= {"scale": dict(made.scale), "bytes_most": made.bytes_most}
        return {**shares, "limit": made.limit, "threads": made.threads, "memory": made.memory}
    if what.startswith("memory "):
        return peak(made, what.removeprefix("memory "))
    return timed(made, with_checks=int(threads) == min(made.threads))


def timed(case, with_checks: bool) -> dict:
    """Time all ways in turns."""
    ways = {"ours": case.ours, **case.rivals}
    taken: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    load = os.getloadavg()[0]
    for turn in range(-1 if case.warm else 0, case.rounds):
        for way, work in ways.items():
            if way in case.once and turn != 0:
                continue
            clock, busy = time.perf_counter(), time.process_time()
            work()
            clock, busy = time.perf_counter() - clock, time.process_time() - busy
            if turn >= 0:
                taken[way].append((clock * case.scale.get(way, 1), busy * case.scale.get(way, 1)))
    told = {way: [statistics.median(side) for side in zip(*runs, strict=True)]
            for way, runs in taken.items()}  # fmt: skip
    ratios = {way: ratio(taken[way], taken["ours"]) for way in case.rivals}
    checks = case.checks() if with_checks else ()
    kept = [[c.told, c.found, c.least, c.most, c.kept] for c in checks]
    return {"seconds": told, "ratios": ratios, "checks": kept, "load": load}


def ratio(theirs: list[tuple[float, float]], ours: list[tuple[float, float]]) -> dict:
    """Compare two ways turn by turn: median, smallest and largest ratio."""
    told = {}
    for place, name in enumerate(("clock", "processor")):
        turns = [a[place] / b[place] for a, b in zip(theirs, ours, strict=False)]
        told[name] = [statistics.median(turns), min(turns), max(turns)]
    return told


def peak(case, way: str) -> int:
    """Tell by how much one way raises the largest resident size of this process."""
    work = {"ours": case.ours, **case.rivals}[way]
    if case.warm and way not in case.once:
        work()
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = status("VmRSS")
    work()
    return max(0, status("VmHWM") - before)


def status(entry: str) -> int:
    """Read a number of bytes from what the kernel tells of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(entry + ":"):
            return int(line.split()[1]) << 10
    raise LookupError(entry)


def machine() -> dict:
    """Tell what it was measured on."""
    from importlib.metadata import PackageNotFoundError, version

    versions = {}
    for name in ("numpy", "numba", "torch", "open3d", "scikit-learn", "anomalib", "faiss-cpu",
                 "adeval", "onnxruntime", "openvino", "timm"):  # fmt: skip
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    text = Path("/proc/cpuinfo").read_text()
    model = next(line.split(":")[1].strip() for line in text.splitlines() if "model name" in line)
    python = ".".join(map(str, sys.version_info[:3]))
    return {"processor": model, "cores": os.cpu_count(), "python": python, "versions": versions,
            "date": time.strftime("%Y-%m-%d")}  # fmt: skip


if __name__ == "__main__":
    main()
