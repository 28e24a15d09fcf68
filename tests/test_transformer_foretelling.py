"""What is made quick on a line says what the plain way says: network, cells, pixels, scales."""

from importlib import import_module

import numpy as np
import pytest
import torch
from torch.nn.functional import adaptive_avg_pool2d, interpolate

from mmdefect.detectors._maps import to_pixels
from mmdefect.fusion._scales import Scale

foretelling, network, tokens, windows, attention, pixels, pooling = (
    import_module(f"mmdefect.fusion._{name}")
    for name in (
        "foretelling", "network", "tokens", "windows", "attention", "pixels", "pooling",
    )
)  # fmt: skip
GRID = (8, 12)
CELLS = 96


def flat() -> torch.Tensor:
    axes = [torch.linspace(-1, 1, side) for side in GRID]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).flatten(0, 1)


def net(**told) -> "network.Network":
    """A network whose every weight matters, normalisations' too."""
    shape = {"sensors": 3, "dims": 5, "width": 16, "layers": 2, "heads": 2, "geometry": 1}
    torch.manual_seed(3)
    made = network.Network(network.Shape(**shape | told)).eval()
    with torch.no_grad():
        for weights in made.parameters():
            weights += 0.2 * torch.randn_like(weights)
    return made


def part(sensors: int = 3, gone: tuple[int, ...] = (), placed: float = 0.8) -> "tokens.Tokens":
    dice = torch.Generator().manual_seed(5)
    there = torch.rand(sensors, CELLS, generator=dice) < 0.8
    there[list(gone)] = False
    values = 3 * torch.randn(sensors, CELLS, 5, generator=dice) * there[..., None]
    place = torch.randn(CELLS, 3, generator=dice).clamp(-2, 2)
    return tokens.Tokens(values, there, place, torch.rand(CELLS, generator=dice) < placed)


def plain(made, shown) -> tuple[torch.Tensor, torch.Tensor]:
    """What training computes: block by block, with masks; here in the grid's order."""
    cut = windows.windows_of(GRID)
    whole = tokens.Tokens(*(rows[None] for rows in shown))
    with torch.inference_mode():
        guess = made(whole, flat(), cut)
    order = cut.cells.flatten().argsort()
    return tuple(rows[0].flatten(1, 2)[:, order] for rows in guess)


@pytest.mark.parametrize(
    ("shape", "shown"),
    [
        ({}, {}),
        ({}, {"gone": (0,)}),
        ({}, {"gone": (1,), "placed": 0.0}),
        ({}, {"gone": (0, 1, 2)}),
        ({"geometry": -1}, {"placed": 0.0}),
        ({"sensors": 2, "geometry": 0}, {"sensors": 2}),
        ({"heads": 4}, {}),
        ({"layers": 1, "width": 24, "heads": 1}, {}),
        ({"layers": 3}, {"placed": 1.0}),
    ],
)
def test_the_prepared_network_says_what_the_network_says(shape, shown):
    made, seen = net(**shape), part(**shown)
    ready = foretelling.Foretelling(made, flat(), windows.windows_of(GRID))
    for own, wanted in zip(ready(seen), plain(made, seen), strict=True):
        assert own.shape == wanted.shape
        torch.testing.assert_close(own, wanted, rtol=2e-5, atol=2e-5)


def test_what_is_hidden_has_no_share_even_where_it_would_have_all():
    """A logit of 3,000 in a gap counts 0, one among the rest everything, and nothing overflows."""
    cut = windows.windows_of(GRID)
    there = np.ones((2, CELLS), dtype=bool)
    sets = np.zeros(2, dtype=np.int64)
    keys = attention.Keys(cut, there, sets)
    answers = 2 * (CELLS + len(cut.regions)) + 1
    told = np.zeros((1, answers, 8), dtype=np.float32)
    told[0, :, 4:] = np.arange(answers)[:, None]
    asked = np.ones((2, CELLS, 4), dtype=np.float32)
    hidden, seen = int(cut.cells[0, 5]), CELLS + int(cut.cells[0, 5])
    told[0, hidden, 0], told[0, seen, 0] = 3000, -3000
    own, other = attention.attended(asked, told, 1, sets, keys)[:, hidden, 0]
    block = keys.lists[0, 0, : keys.counts[0, 0]]
    start, stop, low, high = keys.gaps[0, 0]
    left = np.r_[block[:start], block[stop:low], block[high:]]
    assert hidden in block[start:stop]
    assert own == pytest.approx(left[left != seen].mean(), rel=1e-5)
    assert other == hidden


# ---------------------------------------------------------------- cells, pixels, scales


def test_cells_of_all_sensors_become_pixels_as_each_alone_does():
    rng = np.random.default_rng(1)
    cells = rng.exponential(size=(5, 8, 12)).astype(np.float32)
    cells[1, 2:4, 3:7] = np.nan
    cells[3] = np.nan
    valid = np.ones((5, 60, 84), dtype=bool)
    valid[1:3, 20:30, 40:60] = False
    valid[4] = False
    found = pixels.pixels_of(cells, valid, 0.5)
    for own, one, mask in zip(found, cells, valid, strict=True):
        np.testing.assert_allclose(own, to_pixels(one, mask, 0.5), rtol=1e-5, atol=1e-5)
    blind = pixels.pixels_of(np.full((2, 4, 4), np.nan, np.float32), valid[:2], 0.5)
    assert np.isnan(blind).all()


@pytest.mark.parametrize("cells", [(8, 12), (5, 7), (12, 16), (40, 52)])
def test_patches_are_averaged_as_a_library_does_of_what_is_believed(cells):
    rng = np.random.default_rng(2)
    grid = (rng.standard_normal((3, 24, 32)) * 40 + 500).astype(np.float32)
    grid[:, :9, :9] = np.nan
    grid[1, 20, 5:16] = np.nan
    rows, there = pooling.pooled(grid, cells)
    known = np.isfinite(grid).all(0)
    planes = torch.from_numpy(np.concatenate([np.where(known, grid, 0), known[None]]))[None]
    if cells[0] <= 24:
        planes = adaptive_avg_pool2d(planes.double(), cells)
    else:
        planes = interpolate(planes.double(), cells, mode="nearest-exact")
    share = planes[0, -1].flatten()
    assert (there == (share >= 0.5 - 1e-9)).all()
    wanted = (planes[0, :-1].flatten(1) / share.clamp_min(1e-6)).T
    torch.testing.assert_close(rows, torch.where(there[:, None], wanted, 0.0).float())


@pytest.mark.parametrize("heavy", [False, True])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_scale_goes_linearly_between_its_knots_and_then_by_its_tail(heavy, kind):
    rng = np.random.default_rng(4)
    scale = Scale(0.01, heavy).fit(rng.pareto(2.5, size=3000))
    scores = np.r_[rng.pareto(1.5, size=5000), scale.knots_, -1, np.nan].astype(kind)
    beyond = np.maximum(scores.astype(float) - scale.knots_[-1], 0)
    if heavy:
        beyond = np.log1p(scale.shape_ * beyond / (scale.excess_ * (1 - scale.shape_)))
        beyond /= scale.shape_
    else:
        beyond /= scale.excess_
    wanted = np.interp(scores.astype(float), scale.knots_, scale.evidence_) + beyond
    assert (scale.shape_ > 0) == heavy
    np.testing.assert_allclose(scale.evidence(scores), wanted, rtol=1e-6, atol=1e-7)
    one = Scale(0.2).fit([5.0] * 9)
    assert one.evidence(np.array([4.0, 5.0, np.nan], kind)).tolist()[:2] == [0, 0]
