"""Unfinished work of an evaluation, so that a run that was killed goes on where it was.

* It lies below the folder of the results, a folder a category, under a key of everything that
  shapes the numbers: settings, features, card, content of the files, versions. With another key
  it is thrown away, and that is said.
* Each step is finished by one small write, after everything it speaks of is on disk: the fitted
  model by ``fitted.json``, each judged capture by its line in ``judged.jsonl``. What a kill left
  half done is done again.
* The folder is locked while it is worked in, and removed when the results are written.
"""

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

from mmdefect.errors import CardError
from mmdefect.progress import say

FOLDER = ".unfinished"

Row = dict[str, Any]


class Work:
    """The unfinished work below one folder of results.

    Parameters
    ----------
    out : Path
        The folder of the results.

    Raises
    ------
    CardError
        When nothing can be written there, or another evaluation is at work.
    """

    def __init__(self, out: Path) -> None:
        self.folder = out / FOLDER
        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            raise CardError(f"nothing can be written into '{out}': {error.strerror}") from error
        self._lock = _locked(self.folder / "lock", out)

    def category(self, number: int, name: str, shaping: object) -> "CategoryWork":
        """Take up the work on a category, or begin it.

        Parameters
        ----------
        number : int
            The category's place in the evaluation.
        name : str
        shaping : object
            Everything that shapes its numbers, as JSON holds it.

        Returns
        -------
        CategoryWork
        """
        key = hashlib.sha256(json.dumps(shaping, sort_keys=True).encode()).hexdigest()
        folder = self.folder / f"{number:04d}"
        told = folder / "key"
        if folder.is_dir():
            if told.is_file() and told.read_text(encoding="ascii") == key:
                work = CategoryWork(folder)
                say(f"{name}: going on with an evaluation that did not end ({work.state()})")
                return work
            say(
                f"{name}: an evaluation with other settings, files or versions did not end here; "
                "starting anew"
            )
            shutil.rmtree(folder)
        folder.mkdir()
        told.write_text(key, encoding="ascii")
        return CategoryWork(folder)

    def close(self) -> None:
        """Let others in; what is unfinished stays."""
        self._lock.close()

    def remove(self) -> None:
        """Remove everything: the results are written, or there will be none."""
        shutil.rmtree(self.folder, ignore_errors=True)


class CategoryWork:
    """The unfinished work on one category.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.model = folder / "model"
        self._fitted, self._judged = folder / "fitted.json", folder / "judged.jsonl"
        if not self._fitted.is_file():
            shutil.rmtree(self.model, ignore_errors=True)
        self.lines = self._read()

    def state(self) -> str:
        """Tell how far it is."""
        if not self._fitted.is_file():
            return "nothing was finished yet"
        return f"fitted, {len(self.lines)} captures judged"

    def fitted(self) -> Row | None:
        """Give what was told when the model was fitted; None when it is not."""
        if not self._fitted.is_file():
            return None
        told: Row = json.loads(self._fitted.read_text(encoding="utf-8"))
        return told

    def finish_fit(self, told: Row) -> None:
        """Say that the model is saved."""
        partial = self._fitted.with_name("fitted.partial")
        partial.write_text(json.dumps(told), encoding="utf-8")
        os.replace(partial, self._fitted)

    def finish_capture(self, told: Row) -> None:
        """Say that a capture is judged, and its maps and picture are on disk."""
        with self._judged.open("a", encoding="utf-8") as file:
            file.write(json.dumps(told) + "\n")

    def _read(self) -> list[Row]:
        """Read the finished lines, and cut off one that a kill left half written."""
        if not self._judged.is_file():
            return []
        held = self._judged.read_bytes()
        whole = held[: held.rfind(b"\n") + 1]
        if len(whole) < len(held):
            os.truncate(self._judged, len(whole))
        return [json.loads(line) for line in whole.splitlines()]


def _locked(path: Path, out: Path) -> Any:
    """Open a file that nobody else has open; the system lets go of it when the process ends."""
    file = path.open("a", encoding="ascii")
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:  # no such locks on this system
        pass
    except OSError as error:
        file.close()
        raise CardError(
            f"another evaluation is writing into '{out}'; wait for it, or give --out another folder"
        ) from error
    return file
