"""Stacks on disk: what the description says is checked, and so is every frame."""

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from mmdefect.errors import SensorError
from mmdefect.structured.codes import complete
from mmdefect.structured.decode import decode_files
from mmdefect.structured.patterns import write_patterns
from mmdefect.structured.stack import DESCRIPTION, MOST_BYTES, read_stack, write_stack


@pytest.fixture
def folder(tmp_path):
    """A stack of 13 frames, 12 x 16 pixels."""
    write_patterns(tmp_path, (16, 12), "gray", periods=(8,), steps=3)
    return tmp_path


def changed(folder, old, new):
    path = folder / DESCRIPTION
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_what_is_written_is_read(tmp_path):
    code = complete("heterodyne", (640, 480), (17.3,), steps=5, gamma=1.8, axes=("column", "row"))
    names = [[f"{n}/{i}.tif" for i in range(len(code))] for n in "ab"]
    wrote = write_stack(tmp_path, code, names, white=4095)
    for path in (tmp_path, tmp_path / DESCRIPTION):
        assert read_stack(path) == wrote
    assert wrote.level == 4095
    assert len(wrote.paths()) == 2 * len(code)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("format = 1", "format = 2", r"format 2, but 1 was promised; is it a stack\?"),
        ("format = 1", "form = 1", r"unknown key 'form'; it may hold: .*periods"),
        ('code = "gray"', "code = 7", "the code is '7', but one of gray"),
        ("size = [16, 12]", "size = [16]", r"size is \[16\], but \[columns, rows\]"),
        ("size = [16, 12]", 'size = "big"', "size is 'big', but a list of numbers"),
        ("size = [16, 12]", "size = [99999, 12]", r"size is \(99999, 12\), but .* up to 16384"),
        ("size = [16, 12]", "size = [640, 12]", "lists 9 frames, but the code 'gray' shows 21"),
        ('axes = ["column"]', 'axes = "column"', "axes is 'column', but a list"),
        ("periods = [8.0]", "periods = [nan]", "finite numbers were promised"),
        ("periods = [8.0]", "periods = [true]", "a list of numbers was promised"),
        (
            "periods = [8.0]",
            "periods = [8.0, 60.0]",
            "lists 9 frames, but the code 'gray' shows 12",
        ),
        ("steps = 3", "steps = 4", "lists 9 frames, but the code 'gray' shows 10"),
        ("steps = 3", "steps = 3.0", "steps, gamma and references are 3.0"),
        ("references = true", "references = false", "lists 9 frames, but the code 'gray' shows 7"),
        ("gamma = 1.0", "gamma = 99", "gamma is 99.0, but 0.1 to 10"),
        ("gamma = 1.0", "gamma = 1.0\nwhite = 0", "white is 0, but a count from 2 to 65535"),
        ('"000.png"', '"../000.png"', r"frame '../000.png', but a path below the folder"),
        ('"000.png"', '"/etc/000.png"', "a path below the folder"),
        ('"000.png"', '"C:\\\\000.png"', "a path below the folder"),
        ('"000.png"', '"000.jpg"', r"ends with one of .png, .tif"),
        ('"000.png"', "7", "frame 7, but a path"),
        ('"000.png"', '"001.png"', "lists '001.png' twice"),
        ('    "000.png",\n', "", "exposure 0 lists 8 frames, but the code 'gray' shows 9"),
        ("[[exposures]]", "[[exposures]]\ntime = 3", r"holds \['frames', 'time'\], but frames"),
        ("[[exposures]]", "[exposures]", r"but \[\[exposures\]\] tables were promised"),
        ("format", "= format", "is not TOML"),
    ],
)
def test_a_lying_description_is_refused(folder, old, new, told):
    changed(folder, old, new)
    with pytest.raises(SensorError, match=rf"stack.toml: .*{told}"):
        read_stack(folder)


def test_no_exposure_is_refused(folder):
    text = (folder / DESCRIPTION).read_text()
    (folder / DESCRIPTION).write_text(text.split("[[exposures]]")[0])
    with pytest.raises(SensorError, match="0 exposures are listed, but 1 to 16 were promised"):
        read_stack(folder)


def test_descriptions_are_small_files_of_text(folder, tmp_path):
    with pytest.raises(SensorError, match=r"stack.toml: cannot be read \(No such file"):
        read_stack(tmp_path / "nowhere" / DESCRIPTION)
    (folder / DESCRIPTION).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SensorError, match="is not TOML"):
        read_stack(folder)
    (folder / DESCRIPTION).write_bytes(b"#" * (MOST_BYTES + 1))
    with pytest.raises(SensorError, match=f"longer than {MOST_BYTES} bytes"):
        read_stack(folder)
    (folder / DESCRIPTION).write_text("a = " + "[" * 90000)
    with pytest.raises(SensorError, match="is not TOML"):
        read_stack(folder)


def test_a_missing_a_damaged_and_an_unlike_frame_are_named(folder):
    frame = folder / "004.png"
    kept = frame.read_bytes()
    cases = {
        "is not there, but a frame was promised": None,
        "could not be decoded": kept[:-20],
        "holds uint8 of 12x17 pixels, but uint8 of 12x16 pixels as in '000.png'": (12, 17),
        "holds uint16 of 12x16 pixels, but uint8": np.zeros((12, 16), np.uint16),
        "channels that differ": np.arange(12 * 16 * 3, dtype=np.uint8).reshape(12, 16, 3),
    }
    for told, made in cases.items():
        frame.unlink(missing_ok=True)
        if isinstance(made, bytes):
            frame.write_bytes(made)
        elif made is not None:
            picture = made if isinstance(made, np.ndarray) else np.zeros(made, np.uint8)
            Image.fromarray(picture).save(frame)
        with pytest.raises(SensorError, match=rf"004.png: .*{told}"):
            decode_files(folder)


def test_a_frame_that_declares_gigabytes_is_refused_before_it_is_read(folder):
    header = bytearray((folder / "000.png").read_bytes())
    import zlib

    header[16:24] = (60000).to_bytes(4, "big") * 2
    header[29:33] = zlib.crc32(header[12:29]).to_bytes(4, "big")
    (folder / "000.png").write_bytes(header)
    with pytest.raises(SensorError, match=r"000.png: (declares 3600000000 bytes|could not)"):
        decode_files(folder)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(where=st.integers(0, 10_000), what=st.binary(min_size=0, max_size=3), cut=st.integers(0, 3))
def test_no_change_of_a_description_does_more_than_raise_a_sensor_error(folder, where, what, cut):
    path = folder / DESCRIPTION
    whole = path.read_bytes()
    at = where % len(whole)
    try:
        path.write_bytes(whole[:at] + what + whole[at + cut :])
        with suppress(SensorError):
            assert 0 < len(read_stack(folder).exposures) <= 16
    finally:
        path.write_bytes(whole)
