"""Ways to run a backbone, the quickest of which is found once a machine.

* Which of them is the quickest depends on the network, the picture's size, the processor and what
  is installed, and nothing but a measurement tells. It is made when a backbone is first run, takes
  a few of its runs, and is kept in the user's cache folder (``$XDG_CACHE_HOME/mmdefect``, else
  ``~/.cache/mmdefect``).
* A way counts only if its features are those of the plain network to 1e-4 of their largest.
* ``MMDEFECT_BACKBONE`` names a way and so switches the choice off: ``eager``, the plain network;
  ``channels_last``, with the channels of a pixel side by side in memory; ``compile``, by torch's
  compiler; ``onnxruntime``; ``openvino``. torch's compiler is never chosen: it needs a C++ compiler
  and works for a minute in every new process, which no measurement of single runs would tell.
* Gradients always run through the plain network.
"""

import hashlib
import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmdefect.errors import FeatureError
from mmdefect.jit import threads

Way = Callable[[Tensor], Sequence[Tensor]]

WAYS = ("eager", "channels_last", "compile", "onnxruntime", "openvino")
_CHOSEN_FROM = ("channels_last", "onnxruntime", "openvino")
_ROUNDS = 5
_CLEARLY = 0.9
_AGREES = 1e-4


class Stages(torch.nn.Module):
    """A backbone that gives the maps of chosen stages and nothing else.

    Parameters
    ----------
    network : Module
        Of timm.
    indices : sequence of int
    """

    def __init__(self, network: torch.nn.Module, indices: Sequence[int]) -> None:
        super().__init__()
        self.network = network
        self.indices = list(indices)

    def forward(self, shown: Tensor) -> tuple[Tensor, ...]:
        """Give the maps (1, feature, y, x) of a scaled picture (1, 3, y, x)."""
        return tuple(
            self.network.forward_intermediates(  # type: ignore[operator]
                shown,
                indices=self.indices,
                intermediates_only=True,
                stop_early=True,
                output_fmt="NCHW",
            )
        )


def quickest(stages: Stages, name: str, shown: Tensor) -> Way:
    """Give the way in which a backbone is run here.

    Parameters
    ----------
    stages : Stages
    name : str
        Everything that shapes the backbone, its weights included.
    shown : Tensor (1, 3, y, x), float32
        A picture of the size that is to be run.

    Returns
    -------
    callable (1, 3, y, x) -> sequence of Tensor (1, feature, y, x)

    Raises
    ------
    FeatureError
        When ``MMDEFECT_BACKBONE`` names no way, or one that does not run here.
    """
    asked = os.environ.get("MMDEFECT_BACKBONE", "auto")
    if asked not in (*WAYS, "auto"):
        raise FeatureError(
            f"MMDEFECT_BACKBONE is {asked!r}, but one of {', '.join(WAYS)} or auto was promised; "
            "correct it, or leave it out"
        )
    key = _key(name, shown)
    if asked == "auto":
        asked = _remembered(key) or _measured(stages, key, shown)
    try:
        return way(asked, stages, key, shown)
    except Exception as error:  # engines raise whatever they like
        if "MMDEFECT_BACKBONE" not in os.environ:
            return stages
        said = str(error).partition("\n")[0]
        raise FeatureError(
            f"the backbone cannot be run by {asked} here ({said}); set MMDEFECT_BACKBONE to "
            "another way, or leave it out"
        ) from error


def way(name: str, stages: Stages, key: str, shown: Tensor) -> Way:
    """Make one way ready.

    Parameters
    ----------
    name : str
        Of ``WAYS``.
    stages : Stages
    key : str
        Names the exported network.
    shown : Tensor (1, 3, y, x), float32

    Returns
    -------
    callable
    """
    if name == "channels_last":
        _lay(stages, torch.channels_last)
        return lambda given: stages(given.contiguous(memory_format=torch.channels_last))
    if name == "compile":
        compiled: Way = torch.compile(stages)
        return compiled
    if name == "onnxruntime":
        return _by_onnxruntime(_exported(stages, key, shown))
    if name == "openvino":
        return _by_openvino(_exported(stages, key, shown))
    return stages


def _measured(stages: Stages, key: str, shown: Tensor) -> str:
    """Find the quickest way, and remember it; a tenth quicker than the plain network at least."""
    plain = list(stages(shown))
    best, least = "eager", _CLEARLY * _seconds(stages, shown)
    for name in (name for name in _CHOSEN_FROM if _there(name)):
        try:
            made = way(name, stages, key, shown)
            fits = agree(plain, made(shown))
            taken = _seconds(made, shown)
        except Exception:
            continue
        if fits and taken < least:
            best, least = name, taken
    if best != "channels_last":
        _lay(stages, torch.contiguous_format)
    return _remember(key, best)


def _lay(stages: Stages, order: torch.memory_format) -> None:
    """Lay the weights out; weights that were laid out in inference mode would give no gradients."""
    with torch.inference_mode(False):
        stages.to(memory_format=order)


def agree(plain: Sequence[Tensor], others: Sequence[Tensor]) -> bool:
    """Tell whether maps are the plain network's, to 1e-4 of the largest number of each."""
    return len(plain) == len(others) and all(
        one.shape == other.shape and bool((one - other).abs().max() <= _AGREES * one.abs().max())
        for one, other in zip(plain, others, strict=True)
    )


def _seconds(made: Way, shown: Tensor) -> float:
    """Time the quickest of some runs after a first one: other work only ever adds to it."""
    made(shown)
    taken = []
    for _ in range(_ROUNDS):
        begun = time.perf_counter()
        made(shown)
        taken.append(time.perf_counter() - begun)
    return min(taken)


def _there(name: str) -> bool:
    """Tell whether what a way needs is installed."""
    needed = {"onnxruntime": ("onnxruntime", "onnx", "onnxscript"),
              "openvino": ("openvino", "onnx", "onnxscript")}  # fmt: skip
    return all(find_spec(module) is not None for module in needed.get(name, ()))


def _exported(stages: Stages, key: str, shown: Tensor) -> Path:
    """Write the network for other engines, once a machine."""
    path = cache_folder() / f"{key}.onnx"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.onnx")
        with torch.inference_mode(False), torch.no_grad():
            given = (shown.clone(),)
            torch.onnx.export(stages, given, str(partial), dynamo=True, external_data=False,
                              verbose=False)  # fmt: skip
        os.replace(partial, path)
    return path


def _by_onnxruntime(path: Path) -> Way:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        str(path), sess_options=options, providers=["CPUExecutionProvider"]
    )
    told = session.get_inputs()[0].name
    return lambda given: [
        torch.from_numpy(grid) for grid in session.run(None, {told: given.numpy()})
    ]


def _by_openvino(path: Path) -> Way:
    import openvino

    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads()}
    compiled: Any = openvino.Core().compile_model(str(path), "CPU", settings)
    return lambda given: [
        torch.from_numpy(grid.copy()) for grid in compiled([given.numpy()]).values()
    ]


def cache_folder() -> Path:
    """Name the folder where choices and exported networks are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mmdefect"


def _key(name: str, shown: Tensor) -> str:
    """Hash what the choice depends on."""
    versions = []
    for module in ("torch", "timm", "onnxruntime", "openvino"):
        with suppress(PackageNotFoundError):
            versions.append(f"{module} {version(module)}")
    told = [name, list(shown.shape), threads(), platform.processor(), platform.machine(), versions]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:24]


def _remembered(key: str) -> str | None:
    """Give the way that was found before, where what it needs is still there."""
    try:
        told = (cache_folder() / f"{key}.way").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    return told if told in ("eager", *_CHOSEN_FROM) and _there(told) else None


def _remember(key: str, name: str) -> str:
    """Keep a choice; one that another process made meanwhile counts."""
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{key}.way").open("x", encoding="ascii") as file:
            file.write(name)
    except FileExistsError:
        return _remembered(key) or name
    except OSError:
        pass
    return name
