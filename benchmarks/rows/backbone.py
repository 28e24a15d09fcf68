"""Stages of a backbone for one picture, in the way that was measured the quickest here.

``ours`` is the way that ``mmdefect.features`` chooses on this machine; the others are all ways that
are installed, one of which is the chosen one. torch's compiler is never chosen (see ``_ways``).
Weights are drawn at random: they do not matter to the time.
"""

import tempfile
from collections.abc import Callable, Sequence
from functools import partial

import torch
from case import Case, Check

from mmdefect.features import _ways
from mmdefect.features._ways import Stages, quickest, way

TITLE = "Backbone forward"
NETWORKS = {"mobilenetv2_100": [2, 3], "resnet18": [2, 3], "wide_resnet50_2": [2, 3]}


def cases(quick: bool) -> dict[str, Callable[[], Case]]:
    names = list(NETWORKS)[: 1 if quick else None]
    return {f"{name}, 224 x 224": partial(made, name, 224) for name in names}


def made(name: str, side: int) -> Case:
    import timm

    torch.manual_seed(0)
    network = timm.create_model(name, num_classes=0).eval()
    shown = torch.randn(1, 3, side, side)
    ways, key = {}, f"bench-{name}-{side}"
    _ways.cache_folder = lambda: FOLDER
    alike = {}
    for told in filter(_ways._there, ("eager", "channels_last", "onnxruntime", "openvino")):
        alike[told] = Stages(timm.create_model(name, num_classes=0).eval(), NETWORKS[name])
        alike[told].network.load_state_dict(network.state_dict())
    with torch.inference_mode():
        for told, own in alike.items():
            ways[told] = way(told, own, key, shown)
        stages = Stages(network, NETWORKS[name])
        chosen = quickest(stages, f"{name}, random weights", shown)
        plain = [grid.clone() for grid in ways["eager"](shown)]

    def run(one: Callable[[torch.Tensor], object]) -> object:
        with torch.inference_mode():
            return one(shown)

    def checks() -> Sequence[Check]:
        with torch.inference_mode():
            apart = max(
                float((a - b).abs().max() / a.abs().max())
                for a, b in zip(plain, chosen(shown), strict=True)
            )
        return (Check("largest difference from the plain network, as a share", apart, most=1e-4),)

    return Case(
        ours=lambda: run(chosen),
        rivals={told: partial(run, one) for told, one in ways.items()},
        targets={told: 0.95 for told in ways},
        checks=checks,
        rounds=9,
        memory=False,
        threads=(1,),
    )


FOLDER = _ways.Path(tempfile.gettempdir()) / "mmdefect-bench-ways"
