"""Files that hold many frames: one is chosen by the card, none silently."""

import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image

from mmdefect.errors import CardError, SensorError
from mmdefect.frames import read_array
from mmdefect.registry import load, names

STACK = np.random.default_rng(0).integers(1, 65535, (5, 4, 6)).astype(np.uint16)


def lzw(path):
    first, *others = map(Image.fromarray, STACK)
    first.save(path, save_all=True, append_images=others, compression="tiff_lzw")


def hdf5(path, **options):
    with h5py.File(path, "w") as file:
        file.create_dataset("frames", data=STACK, **options)


PATTERNS = "structured_light"  # whose file is a stack as a whole
WRITERS = {
    "plain.tif": lambda path: tifffile.imwrite(path, STACK, photometric="minisblack"),
    "behind_one_page.tif": lambda path: tifffile.imwrite(
        path, STACK.astype(">u2"), photometric="minisblack", truncate=True, byteorder=">"
    ),
    "packed.tif": lambda path: tifffile.imwrite(
        path, STACK, photometric="minisblack", compression="zlib"
    ),
    "lzw.tif": lzw,
    "rows.npy": lambda path: np.save(path, STACK),
    "columns.npy": lambda path: np.save(path, np.asfortranarray(STACK)),
    "packed.npz": lambda path: np.savez_compressed(path, STACK),
    "plain.h5": hdf5,
    "chunked.h5": lambda path: hdf5(path, chunks=(2, 4, 6), compression="gzip"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_frame_of_a_stack_can_be_chosen(tmp_path, name):
    WRITERS[name](tmp_path / name)
    for frame in range(5):
        np.testing.assert_array_equal(read_array(tmp_path / name, frame=frame), STACK[frame])
    with pytest.raises(SensorError, match=r"holds 5 frames, counted from 0, but frame 5 was"):
        read_array(tmp_path / name, frame=5)


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("sensor", ["infrared", "xray", "depth"])
def test_a_card_chooses_a_frame_and_without_it_none_is_taken(tmp_path, name, sensor):
    WRITERS[name](tmp_path / name)
    read = load("sensors", sensor)(frame=3).read(tmp_path / name)
    np.testing.assert_array_equal(read.values.reshape(4, 6), STACK[3])
    with pytest.raises(SensorError, match="frame = N"):
        load("sensors", sensor)().read(tmp_path / name)


def test_a_stack_s_own_size_is_no_matter_when_one_frame_is_read(tmp_path):
    for name, write in WRITERS.items():
        if name == "columns.npy":  # whose frames lie scattered
            continue
        write(tmp_path / name)
        assert read_array(tmp_path / name, frame=4, max_bytes=2 * 24 * 2).shape == (4, 6)


def test_pages_of_other_kinds_are_no_matter_and_thumbnails_do_not_count(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        tiff.write(STACK[0], photometric="minisblack")
        tiff.write(STACK[0, ::2, ::2], photometric="minisblack", subfiletype=1)
        tiff.write(STACK[1, :2].astype(np.float32), photometric="minisblack")
    np.testing.assert_array_equal(read_array(tmp_path / "a.tif", frame=1), STACK[1, :2])


def test_colours_and_points_are_chosen_too(tmp_path):
    colours = (STACK[:, :, :3] % 256).astype(np.uint8)[:, np.newaxis].repeat(2, 1)
    np.save(tmp_path / "a.npy", colours)
    frame = load("sensors", "rgb")(frame=2).read(tmp_path / "a.npy")
    np.testing.assert_allclose(np.moveaxis(frame.values, 0, -1), colours[2] / 255, rtol=1e-6)
    points = load("sensors", "points")(frame=2, unit="mm").read(tmp_path / "a.npy")
    np.testing.assert_array_equal(np.moveaxis(points.values, 0, -1), np.where(
        colours[2, ..., 2:] > 0, colours[2], np.nan
    ))  # fmt: skip


def test_a_file_of_one_frame_has_no_second(tmp_path):
    Image.fromarray(STACK[0]).save(tmp_path / "a.png")
    np.save(tmp_path / "a.npy", STACK[0])
    np.testing.assert_array_equal(read_array(tmp_path / "a.png", frame=0), STACK[0])
    with pytest.raises(SensorError, match="holds 1 frames, counted from 0, but frame 1"):
        read_array(tmp_path / "a.png", frame=1)
    with pytest.raises(SensorError, match=r"shape \(4, 6\), but frame 0 of a stack"):
        read_array(tmp_path / "a.npy", frame=0)


@pytest.mark.parametrize("sensor", [name for name in names("sensors") if name != PATTERNS])
@pytest.mark.parametrize("frame", [-1, 1.0, True, "first", 10**9])
def test_what_chooses_no_frame_is_refused(sensor, frame):
    with pytest.raises(CardError, match=r"frame is .*, but a count from 0 was promised"):
        load("sensors", sensor)(frame=frame)


def test_frames_behind_one_page_must_all_be_there(tmp_path):
    WRITERS["behind_one_page.tif"](tmp_path / "a.tif")
    body = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(body[:-5])
    with pytest.raises(SensorError, match="5 frames behind one page, of which the last ends at"):
        read_array(tmp_path / "a.tif", frame=0)


def test_a_large_stack_of_imagej_has_one_page_and_all_its_frames(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", STACK[0], imagej=True, metadata={"images": 1})
    said = (tmp_path / "a.tif").read_bytes()
    first, *others = (frame.astype("<u2").tobytes() for frame in STACK)
    stored = said.replace(b"ImageJ=1.11a\nimages=1\n", b"ImageJ=1.11a\nimages=5\n")
    assert stored != said
    assert stored.endswith(first)
    (tmp_path / "a.tif").write_bytes(stored + b"".join(others))
    for frame in range(5):
        np.testing.assert_array_equal(read_array(tmp_path / "a.tif", frame=frame), STACK[frame])
    with pytest.raises(SensorError, match="holds 5 frames, but one was promised"):
        read_array(tmp_path / "a.tif")
