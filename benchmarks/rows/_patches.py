"""Patch features for the rows, 1,536 numbers a patch: of real parts where their pictures are there.

Real ones are stages of mobilenetv2_100 (blocks 4 and 5 and the head, pooled over 3 x 3 patches on
a grid of 28 x 28, 100 pictures of MVTec 3D-AD tires and MulSen-AD parts at 448 pixels); pictures
and weights are looked for in ``../shared``. Made-up ones crowd around 40 centres with a spectrum
that falls as real ones do; even ones are spread evenly, which is the worst that can be searched.
"""

import tempfile
from pathlib import Path

import numpy as np
import torch

SHARED = Path(__file__).resolve().parents[3] / "shared"
WIDTH, A_PICTURE, PICTURES = 1536, 784, 100


def real() -> torch.Tensor:
    """Rows of real pictures, standardised (row, feature), float32; made once a machine."""
    weights = SHARED / "weights" / "mobilenetv2_100.in1k.safetensors"
    if not weights.exists():
        raise ImportError("no pictures of real parts", name="the folder of real captures")
    kept = Path(tempfile.gettempdir()) / f"mmdefect-bench-patches-{PICTURES}.npy"
    if not kept.exists():
        np.save(kept.with_suffix(".part.npy"), described(weights).numpy())
        kept.with_suffix(".part.npy").rename(kept)
    rows = torch.from_numpy(np.load(kept))
    return (rows - rows.mean(0)) / rows.std(0).clamp_min(1e-6)


def pictures() -> list[Path]:
    """Pictures of good parts."""
    found = []
    for name in ("mvtec3d-half", "mulsen-mini"):
        found += sorted((SHARED / "data" / name).glob("**/train/**/*.png"))
    return [path for path in found if "gt" not in path.name][:PICTURES]


def described(weights: Path) -> torch.Tensor:
    """Describe the pictures."""
    import timm
    from PIL import Image
    from safetensors.torch import load_file

    network = timm.create_model("mobilenetv2_100", num_classes=1001, pad_type="same")
    network.load_state_dict(load_file(weights))
    network.eval()
    kept: dict[int, torch.Tensor] = {}
    stages = [network.blocks[4], network.blocks[5], network.bn2]
    for place, stage in enumerate(stages):
        stage.register_forward_hook(lambda _, __, out, place=place: kept.update({place: out}))
    rows = []
    with torch.inference_mode():
        for path in pictures():
            pixels = np.asarray(Image.open(path).convert("RGB").resize((448, 448)))
            network(torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1)
            grids = [torch.nn.functional.avg_pool2d(kept[n], 3, 1, 1) for n in range(3)]
            sized = [torch.nn.functional.interpolate(grid, (28, 28), mode="bilinear")
                     for grid in grids]  # fmt: skip
            rows.append(torch.cat(sized, 1)[0].flatten(1).T)
    return torch.cat(rows)


def made_up(count: int, seed: int) -> torch.Tensor:
    """Rows that crowd as patches do."""
    shape = torch.randn(WIDTH, WIDTH, generator=torch.Generator().manual_seed(1))
    shape *= torch.arange(1, WIDTH + 1)[:, None] ** -0.7
    generator = torch.Generator().manual_seed(seed)
    centres = 2 * torch.randn(40, WIDTH, generator=torch.Generator().manual_seed(2))
    chosen = torch.randint(40, (count,), generator=generator)
    return (torch.randn(count, WIDTH, generator=generator) + centres[chosen]) @ shape


def even(count: int, seed: int) -> torch.Tensor:
    """Rows spread evenly."""
    return torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(seed))
