"""Weights of backbones and reference meshes, carried inside the model under their hash.

A state names its features by specs under the key ``features``. A spec with weights is rewritten
when the model is saved, to name the carried file, and again when it is loaded, to name that file
where the model lies now.
"""

import hashlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

from mmdefect.errors import ModelError
from mmdefect.features import parse_spec, weights_file, with_weights
from mmdefect.mesh_files import MESHES, read_mesh, write_mesh

FOLDER = "weights"


def carried(state: Any) -> tuple[Any, dict[str, bytes]]:
    """Rewrite a state to name its weights by their content.

    Parameters
    ----------
    state : object
        What JSON can hold.

    Returns
    -------
    object
        The state, with specs like ``timm:resnet18@weights/HASH.safetensors``.
    dict of str to bytes
        The files of weights by their names, safetensors all of them.

    Raises
    ------
    FeatureError
        When weights cannot be had.
    """
    files: dict[str, bytes] = {}
    table: dict[str, str] = {}
    for spec in sorted(_specs(state)):
        file = weights_file(spec)
        if file is not None:
            tensors = _as_safetensors(file)
            name = f"{hashlib.sha256(tensors).hexdigest()}.safetensors"
            files[name] = tensors
            table[spec] = with_weights(spec, f"{FOLDER}/{name}")
    return _rewritten(state, table), files


def placed(state: Any, folder: Path, known: Collection[str]) -> Any:
    """Rewrite a state to name its weights where they lie.

    Parameters
    ----------
    state : object
        As `carried` gave it.
    folder : Path
        The model's.
    known : collection of str
        The files of weights that the model carries, named by their SHA-256.

    Returns
    -------
    object

    Raises
    ------
    ModelError
        When a file of weights is missing or is not the one that was learnt with.
    """
    table: dict[str, str] = {}
    for spec in sorted(_specs(state)):
        named = str(parse_spec(spec)[1].get("weights", ""))
        if not named:
            continue
        name = named.removeprefix(f"{FOLDER}/")
        if name not in known or named != f"{FOLDER}/{name}":
            raise ModelError(
                f"the model speaks of the weights {named!r}, which it does not carry; fit it again"
            )
        file = folder / FOLDER / name
        _check(file, file.stem)
        table[spec] = with_weights(spec, str(file.resolve()))
    return _rewritten(state, table)


def _check(file: Path, digest: str) -> None:
    """Refuse weights that are not those that were learnt with."""
    try:
        with file.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(
            f"the weights '{file.name}' cannot be read ({error.strerror}); copy the whole model"
        ) from error
    if found != digest:
        raise ModelError(
            f"the weights '{file.name}' have the SHA-256 {found[:12]}, but {digest[:12]} was "
            "promised; other weights give other features: copy the model again"
        )


def _as_safetensors(file: Path) -> bytes:
    """Give a file of weights, or a mesh, as safetensors; such a file stays as it is."""
    if file.suffix == ".safetensors":
        return file.read_bytes()
    if file.suffix.lower() in MESHES:
        return write_mesh(read_mesh(file))
    from safetensors.torch import save

    from mmdefect.features._weights import read_weights

    return save({key: held.contiguous().clone() for key, held in read_weights(file).items()})


def _specs(state: Any, key: str = "") -> set[str]:
    """Collect the specs of features that a state names under the key ``features``."""
    if isinstance(state, dict):
        below = (_specs(v, "features" if key == "features" else k) for k, v in state.items())
        return set().union(*below)
    if isinstance(state, list):
        return set().union(*(_specs(value, key) for value in state))
    return {state} if key == "features" and isinstance(state, str) else set()


def _rewritten(state: Any, table: dict[str, str], key: str = "") -> Any:
    """Replace specs, wherever they stand under the key ``features``."""
    if isinstance(state, dict):
        return {
            k: _rewritten(v, table, "features" if key == "features" else k)
            for k, v in state.items()
        }
    if isinstance(state, list):
        return [_rewritten(value, table, key) for value in state]
    return table.get(state, state) if key == "features" and isinstance(state, str) else state
