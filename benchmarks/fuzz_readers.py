"""Damaged files against every reader: crashes, hangs, memory, silent garbage.

    python benchmarks/fuzz_readers.py [--mutations 10000] [--only dcm,ply] [--seed 0] [--out FILE]

Every specimen of tests/specimens.py is cut off, has bits flipped, or has numbers of its header
replaced by lies, and is read in a child process of bounded memory, which reports what came of it.
A child that dies or is silent for 20 s is replaced; the mutation it was at is a crash or a hang.

Printed for every specimen: how many mutations were refused (``SensorError``), read as written, read
with other values or another shape, and what must be 0:

* crashes, hangs, other errors than ``SensorError``, warnings or output;
* memory: more than 4 times the honest size (the larger of the file and its values as float64),
  and 8 MiB for a library's first use;
* garbage: infinite values, other values out of a file that was cut off (but text, which ends
  anywhere, counts as read with other values), or other values past the checksums of a format that
  has them.

Linux only: the peak of memory is read from /proc.
"""

import argparse
import json
import random
import re
import resource
import select
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_S = 20
SLACK = 8 << 20
ROOM = 3 << 30
EXTREMES = (0, 1, 2, 255, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
WAYS = ("cut", "flip", "lie")
BAD = ("crash", "hang", "error", "loud", "memory", "garbage")
SAID = ("refused", "whole", "values", "shape", *BAD)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mutations", type=int, default=10_000)
    parser.add_argument("--only", default="", help="endings or names, separated by commas")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="write every mutation that must not be, as JSON")
    parser.add_argument("--child", action="store_true", help="used by this script itself")
    given = parser.parse_args()
    if given.child:
        child()
        return
    names = [name for name in _names() if any(o in name for o in given.only.split(","))]
    work = [
        (name, given.seed + number // len(names))
        for number, name in zip(range(given.mutations), names * given.mutations, strict=False)
    ]
    table: dict[str, Counter[str]] = defaultdict(Counter)
    found = []
    for name, seed, said, note in run(work):
        table[name][said] += 1
        if said in BAD:
            found.append({"specimen": name, "seed": seed, "what": said, "note": note})
            print(f"{said}: {name} seed {seed}: {note}", file=sys.stderr)
    _print(table)
    if given.out:
        given.out.write_text(json.dumps(found, indent=1))


def _names() -> list[str]:
    sys.path.insert(0, str(ROOT / "tests"))
    from specimens import SPECIMENS

    return [specimen.name for specimen in SPECIMENS]


def _print(table: dict[str, Counter[str]]) -> None:
    print("| specimen | " + " | ".join(SAID) + " |")
    print("|---" * (len(SAID) + 1) + "|")
    for name, counts in [*table.items(), ("all", sum(table.values(), Counter()))]:
        print(f"| {name} | " + " | ".join(str(counts[said]) for said in SAID) + " |")


def run(work: list[tuple[str, int]]) -> Iterator[tuple[str, int, str, str]]:
    """Have children do the work, a new one whenever one is lost."""
    left = list(reversed(work))
    while left:
        command = [sys.executable, __file__, "--child"]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        ) as process:
            yield from _serve(process, left)
            process.kill()


def _serve(
    process: "subprocess.Popen[str]", left: list[tuple[str, int]]
) -> Iterator[tuple[str, int, str, str]]:
    """Hand mutations to one child until it is lost or all is done."""
    stdin, stdout = process.stdin, process.stdout
    assert stdin is not None
    assert stdout is not None
    stdout.readline()  # it is ready
    while left:
        name, seed = left.pop()
        try:
            stdin.write(json.dumps([name, seed]) + "\n")
            ready = select.select([stdout], [], [], PATIENCE_S)[0]
            line = stdout.readline() if ready else None
        except BrokenPipeError:
            line = ""
        if not line:
            process.kill()
            code = process.wait()
            yield name, seed, "hang" if line is None else "crash", f"exit status {code}"
            return
        yield name, seed, *json.loads(line)


# ---------------------------------------------------------------- the child


def child() -> None:
    """Read mutations as they are asked for."""
    import os
    import warnings

    asked, told = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    loud = tempfile.TemporaryFile()
    for stream in (1, 2):
        os.dup2(loud.fileno(), stream)
    _names()
    from specimens import SPECIMENS

    warnings.simplefilter("error")
    specimens = {specimen.name: specimen for specimen in SPECIMENS}
    with tempfile.TemporaryDirectory() as folder:
        whole = {}
        for name, specimen in specimens.items():
            path = Path(folder) / name.replace(".", "-") / name
            path.parent.mkdir()
            specimen.write(path)
            whole[name] = (path, path.read_bytes(), specimen.read(path))
        size = int(_status("VmSize"))
        resource.setrlimit(resource.RLIMIT_AS, (size + ROOM, size + ROOM))
        loud.truncate(0)
        print("ready", file=told, flush=True)
        for line in asked:
            name, seed = json.loads(line)
            said = _try(specimens[name], *whole[name], seed)
            loud.seek(0)
            noise = loud.read(300)
            if noise:
                said = ("loud", repr(noise)) if said[0] not in BAD else said
                loud.seek(0)
                loud.truncate(0)
            print(json.dumps(said), file=told, flush=True)


def _try(specimen, path, body, wanted, seed):
    """Read one mutation, and tell what came of it."""
    import numpy as np

    from mmdefect.errors import SensorError

    way, mutated = mutation(body, seed)
    path.write_bytes(mutated)
    Path("/proc/self/clear_refs").write_text("5")
    before = int(_status("VmRSS"))
    try:
        found = specimen.read(path)
    except SensorError:
        found = None
    except BaseException as error:
        return "error", f"{way}: {type(error).__name__}: {str(error)[:200]}"
    finally:
        path.write_bytes(body)
    taken = int(_status("VmHWM")) - before
    honest = max(len(body), specimen.honest, 0 if found is None else found.nbytes)
    if taken > 4 * honest + SLACK:
        return "memory", f"{way}: {taken} bytes for {honest}"
    if found is None:
        return "refused", way
    if np.isinf(found).any():
        return "garbage", f"{way}: infinite values"
    if found.shape == wanted.shape and np.array_equal(found, wanted, equal_nan=True):
        return "whole", way
    if (way == "cut" and specimen.ends) or specimen.sure:
        return "garbage", f"{way}: shape {found.shape}, {wanted.shape} was written"
    return "values" if found.shape == wanted.shape else "shape", way


def mutation(body: bytes, seed: int) -> tuple[str, bytes]:
    """Damage a file, the same way for the same seed."""
    chance = random.Random(seed)
    way = WAYS[seed % len(WAYS)]
    if way == "cut":
        return way, body[: chance.randrange(len(body))]
    made = bytearray(body)
    if way == "flip":
        for _ in range(chance.choice((1, 1, 2, 4, 8, 32))):
            made[chance.randrange(len(made))] ^= 1 << chance.randrange(8)
        return way, bytes(made)
    numbers = list(re.finditer(rb"\d+", body[:2000]))
    if numbers and chance.random() < 0.4:
        place = chance.choice(numbers)
        lie = str(chance.choice((*EXTREMES, -1, 10**12))).encode()
        return way, body[: place.start()] + lie + body[place.end() :]
    for _ in range(chance.choice((1, 1, 2))):
        width = chance.choice((1, 2, 4, 8))
        start = chance.randrange(min(len(made), 1000))
        start = start if chance.random() < 0.7 else len(made) - 1 - start
        lie = chance.choice(EXTREMES) & ((1 << 8 * width) - 1)
        made[start : start + width] = lie.to_bytes(width, chance.choice(("little", "big")))
    return way, bytes(made)


def _status(what: str) -> int:
    """Read a number of bytes from the process's own status."""
    text = Path("/proc/self/status").read_text()
    return int(re.search(rf"{what}:\s+(\d+) kB", text)[1]) * 1024


if __name__ == "__main__":
    main()
