"""A projector and cameras, pattern by pattern: the frames of one capture of structured light.

The patterns are shown by whatever shows pictures on the projector: a viewer, a maker's tool, a
person. Each is given time to be seen, then the cameras are triggered. All frames of a scan or none:
a single one that is missing or damaged would shift the code, so its pattern is taken again, and
after some tries the scan is given up.
"""

import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from mmdefect.acquire.measuring import measured
from mmdefect.acquire.recording import encoder, suffix_of
from mmdefect.acquire.session import Session, Taken
from mmdefect.errors import AcquisitionError
from mmdefect.whole import write_whole

_TRIES = 5


def scan(
    session: Session,
    patterns: Path,
    out: Path,
    show: Callable[[Path], None],
    *,
    settle: float = 0.2,
) -> dict[str, Path]:
    """Record a stack of frames for each sensor of a session.

    Parameters
    ----------
    session : Session
        Running.
    patterns : Path
        The folder of patterns, as ``write_patterns`` makes it.
    out : Path
        Not there yet. The first sensor's stack; those of others are folders of their names inside.
    show : callable
        Shows a picture on the projector.
    settle : float
        Seconds from then on until the cameras are triggered.

    Returns
    -------
    dict of str to Path
        The stack of each sensor.

    Raises
    ------
    AcquisitionError
        When something is in the way of ``out``, or a pattern cannot be recorded.
    SensorError
        When the folder of patterns is none.
    """
    from mmdefect.structured.stack import read_stack

    stack = read_stack(patterns)
    if out.exists():
        raise AcquisitionError(f"'{out}' is there already; name a folder that is not")
    unfinished = out.with_name(f".{out.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    sensors = list(session.setup.sensors)
    folders = {name: Path(name if place else ".") for place, name in enumerate(sensors)}
    for folder in folders.values():
        (unfinished / folder).mkdir(parents=True, exist_ok=True)
    captures = session.captures()
    try:
        for pattern in stack.exposures[0]:
            show(stack.folder / pattern)
            time.sleep(settle)
            _write(session, captures, pattern, {n: unfinished / f for n, f in folders.items()})
        for folder in folders.values():
            shutil.copyfile(stack.folder / "stack.toml", unfinished / folder / "stack.toml")
        unfinished.rename(out)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return {name: out / folder for name, folder in folders.items()}


def shower(command: str) -> Callable[[Path], None]:
    """Make what shows a picture by a command.

    Parameters
    ----------
    command : str
        A program and its arguments, ``{}`` for the picture's path; it returns when the picture is
        shown. No shell reads it.

    Returns
    -------
    callable

    Raises
    ------
    AcquisitionError
        When the command has no place for the picture; later, when it fails.
    """
    words = shlex.split(command)
    if not any("{}" in word for word in words):
        raise AcquisitionError(
            f"the command {command!r} holds no {{}}, the picture's place; add it"
        )

    def show(picture: Path) -> None:
        try:
            subprocess.run([word.replace("{}", str(picture)) for word in words], check=True)
        except FileNotFoundError as error:
            raise AcquisitionError(f"there is no program {words[0]!r}; correct --show") from error
        except subprocess.CalledProcessError as error:
            raise AcquisitionError(
                f"{words[0]!r} failed with exit code {error.returncode} on '{picture}'; try the "
                "command by hand"
            ) from error

    return show


def _write(
    session: Session, captures: Iterator[Taken], pattern: str, folders: dict[str, Path]
) -> None:
    """Record one pattern's frame of every sensor."""
    for _ in range(_TRIES):
        taken = next(captures)
        if taken.missing:
            continue
        for name, array in measured(taken.frames, session.setup.sensors).items():
            if array.ndim != 2:
                raise AcquisitionError(
                    f"sensor {name!r} gives colour, but patterns are read in grey; set its "
                    "PixelFormat to Mono8 or Mono16"
                )
            write_whole(
                folders[name] / f"{Path(pattern).stem}{suffix_of(array)}",
                encoder(array),
                synced=True,
            )
        return
    raise AcquisitionError(
        f"pattern {pattern} could not be recorded in {_TRIES} tries: {', '.join(taken.missing)} "
        "gave no usable frame; mend the connection and scan again"
    )
