"""The README's example gives what the README says."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mmdefect.simulate import PRODUCTS, Capture, render_capture, simulate, writing

README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_example_prints_what_the_readme_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, output = re.search(r"```python\n(.*?)```\n\n```\n(.*?)```", README, re.S).groups()
    assert "test[::4]" in code
    monkeypatch.setattr(writing, "render_capture", only_every_fourth_of_the_test_split(60, 40))
    asked = {"products": ["panel"], "train": 60, "test": 40, "size": 192}
    simulate(tmp_path / "demo" / "captures", **asked)
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    shown = [line.split()[:2] for line in output.splitlines()]
    assert [line.split()[:2] for line in run.stdout.splitlines()] == shown


def only_every_fourth_of_the_test_split(train: int, test: int) -> Callable[..., Capture]:
    """Render what the example looks at; for the others, whose files it does not open, stand in."""
    jobs = [job for job in writing.plan(PRODUCTS["panel"], train, test) if job.split == "test"]
    looked_at = {job.index for job in sorted(jobs, key=lambda job: job.key)[::4]}
    last: list[Capture] = []

    def rendered(product: str, kind: str, **asked: Any) -> Capture:
        if asked["split"] == "train" or asked["index"] in looked_at:
            last[:] = [render_capture(product, kind, **asked)]
        return last[0]

    return rendered


def test_every_file_the_readme_points_to_is_there() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (Path(__file__).resolve().parents[1] / target).exists(), target
