"""Captures read ahead by other processes: the same scenes, refusals in place, nothing lost."""

import os
import shutil
import signal

import pytest
import xarray as xr

from mmdefect import ahead
from mmdefect.dataset import Dataset


@pytest.fixture(scope="module")
def folder(miniature, tmp_path_factory):
    """A miniature, one frame of which cannot be read."""
    root = tmp_path_factory.mktemp("ahead") / "captures"
    shutil.copytree(miniature("mvtec3d"), root)
    pictures = sorted(path for path in root.rglob("train/**/rgb/*.png"))
    pictures[1].write_bytes(b"no picture")
    return root


@pytest.fixture(scope="module")
def read(folder):
    """The data set with a reader, what it gives, and what it gives without."""
    dataset, plain = Dataset("mvtec3d", folder, readers=1), Dataset("mvtec3d", folder)
    captures = plain.captures(plain.categories[0])
    told = []
    for scene in dataset.scenes(captures):
        told.append((scene, list(dataset.refused)))
    wanted = []
    for scene in plain.scenes(captures):
        wanted.append((scene, list(plain.refused)))
    yield dataset, captures, told, wanted
    ahead._POOLS.pop(dataset).shutdown()


def test_scenes_read_ahead_are_those_read_here(read):
    _, captures, told, wanted = read
    assert len(told) == len(wanted) == len(captures) > 3
    for (scene, _), (plain, _) in zip(told, wanted, strict=True):
        xr.testing.assert_identical(scene, plain)


def test_a_refusal_is_told_with_its_own_scene_and_not_before(read):
    _, _, told, wanted = read
    assert [refused for _, refused in told] == [refused for _, refused in wanted]
    assert len(told[0][1]) < len(told[-1][1])


def test_who_stops_early_is_not_told_of_the_rest(read):
    dataset, captures, _, wanted = read
    dataset.refused.clear()
    steps = iter(dataset.scenes(captures))
    next(steps)
    steps.close()
    assert dataset.refused == wanted[0][1]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="processes are killed by a signal")
def test_what_a_killed_reader_did_not_read_is_read_here(read):
    dataset, captures, _, wanted = read
    dataset.refused.clear()
    steps = iter(dataset.scenes(captures))
    scenes = [next(steps)]
    for process in list(ahead._pool(dataset)._processes):
        os.kill(process, signal.SIGKILL)
    scenes += list(steps)
    assert dataset.refused == wanted[-1][1]
    for scene, (plain, _) in zip(scenes, wanted, strict=True):
        xr.testing.assert_identical(scene, plain)
    ahead._pool(dataset)
