"""The folder of a model: written in one step, read with suspicion, never losing a past state."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from mmdefect import __version__
from mmdefect.errors import ModelError
from mmdefect.model._change import Change

FORMAT = 1
FACTS, CONTENT = "model.json", "content"
ARRAYS, STATE = "arrays.safetensors", "state.json"
_MOST_JSON = 256 << 20
_HASH = re.compile(r"[0-9a-f]{64}\Z")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")

Tensors = dict[str, np.ndarray]


class ModelFolder:
    """A model on disk.

    Parameters
    ----------
    path : Path
        An existing model's folder.

    Raises
    ------
    ModelError
        When it is no model, or one of another format.

    Attributes
    ----------
    facts : dict
        What ``model.json`` holds, without the history.
    history : list of Change
        The last one counts.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        facts = _read_json(self.path / FACTS)
        if not isinstance(facts, dict) or "format" not in facts:
            raise ModelError(f"'{self.path}' holds no model; write one with 'mmdefect fit'")
        if facts["format"] != FORMAT:
            raise ModelError(
                f"'{self.path}' has the model format {facts['format']!r}, but {FORMAT} is what "
                f"mmdefect {__version__} reads; fit it again, or use the version that wrote it "
                f"({facts.get('mmdefect', 'unknown')})"
            )
        try:
            self.history = [Change(**change) for change in facts.pop("history")]
            self._check(facts)
        except (KeyError, TypeError, AttributeError) as error:
            raise ModelError(
                f"'{self.path / FACTS}' lacks or misnames {error}; copy the model again"
            ) from error
        self.facts = facts

    @classmethod
    def create(
        cls,
        path: Path,
        facts: Mapping[str, Any],
        content: tuple[Tensors, dict[str, Any]],
        files: Mapping[str, bytes],
        *,
        false_alarm: float,
        referral: Mapping[str, Any],
    ) -> "ModelFolder":
        """Write a new model, in one step.

        Parameters
        ----------
        path : Path
            Must not be there, or be an empty folder.
        facts : mapping
            What JSON can hold; does not change later.
        content : (dict of str to array, dict)
            What was learnt.
        files : mapping of str to bytes
            Files to carry, ``FOLDER/NAME`` each.
        false_alarm : float
        referral : mapping

        Returns
        -------
        ModelFolder

        Raises
        ------
        ModelError
            When something is there already, or nothing can be written.
        """
        path = Path(path)
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise ModelError(f"'{path}' is there already; name a new folder for the model")
        partial = path.absolute().parent / f".{path.name}.partial-{os.getpid()}"
        try:
            partial.mkdir(parents=True)
            for name, held in files.items():
                (partial / name).parent.mkdir(exist_ok=True)
                _write(partial / name, held)
            digest = _write_content(partial, content)
            now = (_now(), __version__, digest, false_alarm)
            first = Change(1, "fit", *now, referral=dict(referral))
            _write_facts(partial, {"format": FORMAT, **facts}, [first])
            os.rename(partial, path)
        except OSError as error:
            raise ModelError(f"'{path}' cannot be written: {error.strerror}") from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return cls(path)

    @property
    def current(self) -> Change:
        """The state that counts."""
        return self.history[-1]

    @property
    def hash(self) -> str:
        """SHA-256 of everything that shapes a verdict: what was learnt, the rate, the card."""
        shaping = {key: self.facts[key] for key in sorted(self.facts) if key not in _NOT_SHAPING}
        told = [shaping, self.current.content, self.current.false_alarm]
        told += [self.current.referral] if self.current.referral else []
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    def content(self) -> tuple[Tensors, dict[str, Any]]:
        """Read what was learnt.

        Returns
        -------
        dict of str to array
        dict

        Raises
        ------
        ModelError
            When a file is missing, or is not the one that was written.
        """
        from safetensors.numpy import load

        folder = self.path / CONTENT / self.current.content
        try:
            arrays, state = ((folder / name).read_bytes() for name in (ARRAYS, STATE))
        except OSError as error:
            raise ModelError(
                f"'{error.filename}' cannot be read ({error.strerror}); copy the whole model"
            ) from error
        if _digest(arrays, state) != self.current.content:
            raise ModelError(
                f"'{folder}' is not what was written there; it was damaged or changed: copy the "
                "model again"
            )
        return load(arrays), json.loads(state)

    def change(
        self,
        what: str,
        *,
        content: tuple[Tensors, dict[str, Any]] | None = None,
        false_alarm: float | None = None,
        referral: Mapping[str, Any] | None = None,
        told: Mapping[str, Any] | None = None,
    ) -> Change:
        """Change the model, in one step; the state before stays in the folder.

        Parameters
        ----------
        what : str
        content : (dict of str to array, dict), optional
            What was learnt, where that changes.
        false_alarm : float, optional
            The wanted rate, where that changes.
        referral : mapping, optional
            The band that is referred, where that changes.
        told : mapping, optional
            What else the history shall say.

        Returns
        -------
        Change

        Raises
        ------
        ModelError
            When nothing can be written.
        """
        now = self.current
        try:
            digest = _write_content(self.path, content) if content else now.content
        except OSError as error:
            raise ModelError(f"'{self.path}' cannot be written: {error.strerror}") from error
        rate = now.false_alarm if false_alarm is None else false_alarm
        band = now.referral if referral is None else dict(referral)
        return self._append(what, digest, rate, band, now.number, dict(told or {}))

    def undo(self) -> Change:
        """Take the last change back that was not taken back yet.

        Returns
        -------
        Change
            The new line of the history.

        Raises
        ------
        ModelError
            When the model is as it was fitted.
        """
        now = self.current
        if now.before == 0:
            raise ModelError("the model is as it was fitted; there is no change to take back")
        target = self.history[now.before - 1]
        undone = self._undone(now)
        told = {"took_back": undone.number, "which_was": undone.what}
        own = (target.content, target.false_alarm, target.referral, target.before)
        return self._append("undo", *own, told)

    def _undone(self, change: Change) -> Change:
        """Tell which change an undo takes back: the one whose state counts now."""

        def state(one: Change) -> tuple[object, ...]:
            return one.content, one.false_alarm, one.referral, one.before

        return next(c for c in self.history if c.what != "undo" and state(c) == state(change))

    def _append(
        self,
        what: str,
        content: str,
        false_alarm: float,
        referral: dict[str, Any],
        before: int,
        told: dict[str, Any],
    ) -> Change:
        number, state = len(self.history) + 1, (content, false_alarm, before, told, referral)
        made = Change(number, what, _now(), __version__, *state)
        try:
            _write_facts(self.path, self.facts, [*self.history, made])
        except OSError as error:
            raise ModelError(f"'{self.path}' cannot be written: {error.strerror}") from error
        self.history.append(made)
        return made

    def _check(self, facts: Mapping[str, Any]) -> None:
        """Refuse names that could lead out of the folder, and a history without a line."""
        hashes = [change.content for change in self.history]
        names = [*facts["weights"], *facts["files"]]
        if not hashes or not all(_HASH.match(text) for text in hashes):
            raise KeyError("history")
        if not all(_NAME.match(name) for name in names):
            raise KeyError("weights, files")


_NOT_SHAPING = {"created", "mmdefect", "versions", "settings"}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _digest(*parts: bytes) -> str:
    """Hash several texts as one."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(hashlib.sha256(part).digest())
    return whole.hexdigest()


def _read_json(path: Path) -> Any:
    """Read a JSON file of bounded size; None when there is none."""
    try:
        if not path.is_file():
            return None
        if path.stat().st_size > _MOST_JSON:
            raise ModelError(f"'{path}' has more than {_MOST_JSON} bytes; it is no model's")
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"'{path}' cannot be read as JSON ({error}); copy the model again") from (
            error
        )


def _write(path: Path, held: bytes) -> None:
    """Write a file and wait until the disk has it."""
    with path.open("wb") as file:
        file.write(held)
        file.flush()
        os.fsync(file.fileno())


def _write_content(folder: Path, content: tuple[Tensors, dict[str, Any]]) -> str:
    """Write what was learnt under the hash of its bytes, unless it is there."""
    from safetensors.numpy import save

    tensors, state = content
    arrays = save({name: np.ascontiguousarray(held) for name, held in tensors.items()})
    text = json.dumps(state, allow_nan=False).encode()
    digest = _digest(arrays, text)
    place = folder / CONTENT / digest
    if not place.is_dir():
        partial = folder / CONTENT / f"partial-{os.getpid()}"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        _write(partial / ARRAYS, arrays)
        _write(partial / STATE, text)
        os.rename(partial, place)
    return digest


def _write_facts(folder: Path, facts: Mapping[str, Any], history: list[Change]) -> None:
    """Replace ``model.json`` in one step."""
    told = {**facts, "history": [asdict(change) for change in history]}
    partial = folder / f"{FACTS}.partial-{os.getpid()}"
    _write(partial, (json.dumps(told, indent=1, allow_nan=False) + "\n").encode())
    os.replace(partial, folder / FACTS)
