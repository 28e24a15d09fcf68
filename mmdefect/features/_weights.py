"""Weights of backbones: where they come from, read safely, loaded strictly.

* A file holds tensors or it is refused; nothing is unpickled.
* The hub's file and a local file go through the same strict loading.
* A machine without network is told so in seconds: the hub's own client would try for a minute.
"""

import socket
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import torch
from torch import Tensor

from mmdefect.errors import FeatureError

_COUNTER = "num_batches_tracked"
_PATIENCE_S = 3.0


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a file of tensors, never of code.

    Parameters
    ----------
    path : Path
        ``.safetensors``, ``.pt`` or ``.pth``.

    Returns
    -------
    dict of str to Tensor
        Floating tensors as float32.

    Raises
    ------
    FeatureError
        When the file holds anything but named tensors.
    """
    if not path.is_file():
        raise FeatureError(f"there is no weights file '{path}'; give the path of one")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state: Any = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # both readers raise whatever their parsers raise
        raise FeatureError(
            f"'{path.name}' holds no tensors that can be read safely ({type(error).__name__}); "
            "safetensors, or a .pt file of tensors only, was promised: save its state_dict"
        ) from error
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise FeatureError(
            f"'{path.name}' holds {type(state).__name__}, but a table of named tensors was "
            "promised: save the model's state_dict"
        )
    return {
        key: value.float() if value.is_floating_point() else value for key, value in state.items()
    }


def load_strictly(
    network: torch.nn.Module, state: dict[str, Tensor], head: set[str], model: str
) -> None:
    """Load weights into a network whose head was taken off.

    Parameters
    ----------
    network : Module
        Without its head.
    state : dict of str to Tensor
        What a file held.
    head : set of str
        The keys that only the head has: the only ones that may be left over.
    model : str
        For the message.

    Raises
    ------
    FeatureError
        When a weight is missing or left over, or has another shape.

    Notes
    -----
    Batch counters are no weights: files of folded or converted networks lack them, and nothing
    reads them outside training.
    """
    own = network.state_dict()
    missing = sorted(key for key in set(own) - set(state) if not key.endswith(_COUNTER))
    extra = sorted(set(state) - set(own) - head)
    if missing or extra:
        found = f"{len(missing)} keys missing {missing[:2]}, {len(extra)} unknown {extra[:2]}"
        raise FeatureError(
            f"the weights do not fit {model!r}: {found}; they are another model's, or it was "
            "built with other arguments"
        )
    try:
        network.load_state_dict({key: state.get(key, own[key]) for key in own}, strict=True)
    except RuntimeError as error:
        said = str(error).splitlines()[:2][-1].strip().rstrip(".")
        raise FeatureError(
            f"the weights do not fit {model!r}: {said}; they are another model's, or it was built "
            "with other arguments"
        ) from error


def hub_file(model: str) -> Path:
    """Find a model's weights in the hub's cache, or fetch them into it.

    Parameters
    ----------
    model : str
        A name of timm's, with or without a pretrained tag.

    Returns
    -------
    Path
        A safetensors file in the cache of ``huggingface_hub``.

    Raises
    ------
    FeatureError
        Naming the two ways out, when they are neither in the cache nor to be had.
    """
    import huggingface_hub
    import timm

    try:
        config = timm.models.get_pretrained_cfg(model)
    except RuntimeError:  # an unknown tag
        config = None
    repository = config.hf_hub_id if config is not None else None
    if not repository:
        raise FeatureError(
            f"the hub has no weights for {model!r}; give a file as 'timm:{model}@FILE'"
        )
    cached = huggingface_hub.try_to_load_from_cache(repository, "model.safetensors")
    if isinstance(cached, str):
        return Path(cached)
    try:
        if not _hub_answers(huggingface_hub.constants.ENDPOINT):
            raise ConnectionError("no answer")
        return Path(huggingface_hub.hf_hub_download(repository, "model.safetensors"))
    except Exception as error:  # the hub's client raises whatever its transport raises
        raise FeatureError(
            f"the weights of {model!r} are not in the cache and the model hub cannot be reached "
            f"({type(error).__name__}); give a local file as 'timm:{model}@FILE', or use "
            "'builtin', which needs no weights"
        ) from error


def _hub_answers(endpoint: str) -> bool:
    """Tell whether the hub can be reached; behind a proxy only the client itself can tell."""
    import huggingface_hub

    if huggingface_hub.constants.HF_HUB_OFFLINE:
        return False
    if urllib.request.getproxies():
        return True
    place = urlsplit(endpoint)
    port = place.port or (443 if place.scheme == "https" else 80)
    try:
        socket.create_connection((place.hostname or "", port), timeout=_PATIENCE_S).close()
    except OSError:
        return False
    return True
