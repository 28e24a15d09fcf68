"""A training's checkpoint: arrays in safetensors, the rest in JSON, never a pickle.

Both files are written beside their names and then renamed, the JSON last and with the digest of
the arrays it belongs to: a run that is killed leaves the old checkpoint, or the new one.
"""

import hashlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load, save
from torch import Tensor

from mmdefect.errors import MmdefectError


class Checkpoint:
    """Where a training is kept.

    Parameters
    ----------
    folder : Path
    name : str
    meant : mapping
        What the training is of, for JSON; another training's checkpoint is refused. Floats are the
        same up to a millionth: sums differ that much between machines and numbers of threads.
    """

    def __init__(self, folder: Path, name: str, meant: Mapping[str, Any]) -> None:
        self.arrays, self.told = folder / f"{name}.safetensors", folder / f"{name}.json"
        self.meant: dict[str, Any] = json.loads(json.dumps(dict(meant)))

    def write(self, tensors: Mapping[str, Tensor], told: Mapping[str, Any]) -> None:
        """Write how far the training is."""
        self.arrays.parent.mkdir(parents=True, exist_ok=True)
        held = save({name: part.detach().cpu().contiguous() for name, part in tensors.items()})
        digest = hashlib.sha256(held).hexdigest()
        text = json.dumps({"meant": self.meant, "sha256": digest, "course": dict(told)})
        for path, content in ((self.arrays, held), (self.told, text.encode())):
            beside = path.with_name(f".{path.name}.{os.getpid()}")
            beside.write_bytes(content)
            beside.replace(path)

    def read(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Read how far the training was.

        Returns
        -------
        tuple of dict and dict, or None
            None where none was begun, or where its two files do not belong together.

        Raises
        ------
        MmdefectError
            When it is the checkpoint of another training.
        """
        if not self.told.exists() or not self.arrays.exists():
            return None
        try:
            told = json.loads(self.told.read_text(encoding="utf-8"))
            meant, digest, course = told["meant"], told["sha256"], told["course"]
        except (ValueError, KeyError, TypeError) as error:
            raise MmdefectError(
                f"'{self.told}' is no checkpoint of a training; give another folder"
            ) from error
        unlike = [key for key in self.meant if not _alike(meant.get(key), self.meant[key])]
        if unlike:
            key = unlike[0]
            raise MmdefectError(
                f"the checkpoint '{self.told}' is of a training with {key} {meant.get(key)!r}, "
                f"this one has {self.meant[key]!r}; give another folder, or remove it"
            )
        held = self.arrays.read_bytes()
        if hashlib.sha256(held).hexdigest() != digest:
            return None
        return load(held), course


def _alike(held: object, meant: object) -> bool:
    """Tell whether two entries say the same."""
    if isinstance(held, float) and isinstance(meant, float):
        return math.isclose(held, meant, rel_tol=1e-6)
    return held == meant
