"""DICOM and DICONDE: planted values through every packing, real files, and lies."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lossless_jpeg import lossless

from mmdefect.dicom._pixels import _DECODERS
from mmdefect.errors import SensorError
from mmdefect.frames import read_array
from mmdefect.ljpeg import decode_lossless
from mmdefect.sensors.xray import Xray

pydicom = pytest.importorskip("pydicom", reason="the extra 'dicom' is not installed")
from pydicom.dataset import Dataset, FileMetaDataset  # noqa: E402
from pydicom.encaps import encapsulate  # noqa: E402
from pydicom.pixels import compress, pixel_array  # noqa: E402
from pydicom.sequence import Sequence  # noqa: E402
from pydicom.uid import (  # noqa: E402
    MPEG2MPML,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

REAL = Path(__file__).resolve().parents[1] / "../shared/data/formats"
GREY = np.random.default_rng(0).integers(0, 4096, (3, 40, 48)).astype(np.uint16)


def header(pixels: np.ndarray, syntax: str = ExplicitVRLittleEndian, bits: int = 12) -> Dataset:
    """Describe frames (frame, y, x) or (frame, y, x, 3)."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = syntax
    made.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    made.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    made.SOPClassUID, made.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3"
    made.NumberOfFrames, made.Rows, made.Columns = pixels.shape[:3]
    made.SamplesPerPixel = 1 if pixels.ndim == 3 else 3
    made.PhotometricInterpretation = "MONOCHROME2" if pixels.ndim == 3 else "RGB"
    if pixels.ndim == 4:
        made.PlanarConfiguration = 0
    made.BitsAllocated = pixels.dtype.itemsize * 8
    made.BitsStored = min(bits, made.BitsAllocated)
    made.HighBit = made.BitsStored - 1
    made.PixelRepresentation = int(pixels.dtype.kind == "i")
    return made


def write(path: Path, pixels: np.ndarray, syntax: str = ExplicitVRLittleEndian, **said) -> Path:
    """Write frames; `said` overrules what the header says."""
    made = header(pixels, syntax)
    made.PixelData = pixels.astype(pixels.dtype.newbyteorder(ORDERS.get(syntax, "<"))).tobytes()
    made["PixelData"].VR = "OW" if pixels.dtype.itemsize == 2 else "OB"
    if syntax in PACKED:
        made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        compress(made, syntax, generate_instance_uid=False)
    for name, value in said.items():
        setattr(made, name, value)
    made.save_as(path, enforce_file_format=True)
    return path


ORDERS = {ExplicitVRBigEndian: ">"}
PACKED = [RLELossless, JPEG2000Lossless, JPEGLSLossless]
PLAIN = [
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
]


@pytest.mark.parametrize("syntax", [*PLAIN, *PACKED], ids=lambda uid: uid.keyword)
def test_every_frame_comes_back_from_every_packing(tmp_path, syntax):
    path = write(tmp_path / "a.dcm", GREY, syntax)
    for frame in range(3):
        read = read_array(path, frame=frame)
        np.testing.assert_array_equal(read, GREY[frame])
        assert read.dtype == np.uint16
    with pytest.raises(SensorError, match=r"holds 3 frames, but one was promised; name one by"):
        read_array(path)
    with pytest.raises(SensorError, match="frame 3 was asked for"):
        read_array(path, frame=3)


def test_colour_and_signed_values_come_back(tmp_path):
    colour = np.random.default_rng(1).integers(0, 256, (1, 4, 5, 3)).astype(np.uint8)
    np.testing.assert_array_equal(read_array(write(tmp_path / "a.dcm", colour)), colour[0])
    planes = np.moveaxis(colour[0], -1, 0).tobytes()
    path = write(tmp_path / "b.dcm", colour, PlanarConfiguration=1, PixelData=planes)
    np.testing.assert_array_equal(read_array(path), colour[0])
    signed = (GREY[:1].astype(np.int16) - 2000).clip(-2048, 2047)
    np.testing.assert_array_equal(read_array(write(tmp_path / "c.dcm", signed)), signed[0])


def test_bits_that_hold_overlays_are_no_part_of_the_value(tmp_path):
    marked = GREY[:1] | (np.uint16(7) << 13)
    np.testing.assert_array_equal(read_array(write(tmp_path / "a.dcm", marked)), GREY[0])
    high = GREY[:1] << 4
    path = write(tmp_path / "b.dcm", high | 5, HighBit=15)
    np.testing.assert_array_equal(read_array(path), GREY[0])


def test_values_are_rescaled_and_padding_is_no_measurement(tmp_path):
    said = {"RescaleSlope": "0.5", "RescaleIntercept": "-100", "PixelPaddingValue": 7}
    pixels = GREY[:1].copy()
    pixels[0, 1, 2] = 7
    wanted = pixels[0] * 0.5 - 100
    wanted[1, 2] = np.nan
    np.testing.assert_array_equal(read_array(write(tmp_path / "a.dcm", pixels, **said)), wanted)
    frame = Xray().read(tmp_path / "a.dcm")
    np.testing.assert_array_equal(frame.values[0], wanted.astype(np.float32))
    assert frame.attrs["units"] == "relative"


def test_each_frame_of_an_enhanced_file_has_its_own_slope(tmp_path):
    groups = []
    for frame in range(3):
        change, group = Dataset(), Dataset()
        change.RescaleSlope, change.RescaleIntercept = str(frame + 1), "10"
        group.PixelValueTransformationSequence = Sequence([change])
        groups.append(group)
    path = write(tmp_path / "a.dcm", GREY, PerFrameFunctionalGroupsSequence=Sequence(groups))
    np.testing.assert_array_equal(read_array(path, frame=2), GREY[2] * 3.0 + 10)


def test_bright_stays_bright_in_monochrome1(tmp_path):
    said = {"PhotometricInterpretation": "MONOCHROME1"}
    path = write(tmp_path / "a.dcm", GREY[:1], **said)
    np.testing.assert_array_equal(read_array(path), 4095 - GREY[0])
    signed = (GREY[:1].astype(np.int16) - 2000).clip(-2048, 2047)
    path = write(tmp_path / "b.dcm", signed, **said)
    np.testing.assert_array_equal(read_array(path), -1 - signed[0])


def test_dark_and_open_beam_make_a_transmission(tmp_path):
    frame = Xray(white=4000, dark=100, frame=1).read(write(tmp_path / "a.dcm", GREY))
    np.testing.assert_allclose(frame.values[0], (GREY[1] - 100.0) / 3900, rtol=1e-5)
    assert frame.attrs["units"] == "1"


# ---------------------------------------------------------------- lossless JPEG


@given(st.integers(1, 7), st.integers(2, 16), st.integers(1, 3), st.booleans(), st.integers(0, 99))
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
def test_lossless_jpeg_comes_back(predictor, precision, channels, restarts, seed):
    made = np.random.default_rng(seed).integers(0, 1 << precision, (5, 7, channels))
    shift = seed % 2
    pixels = (made >> shift << shift).astype(np.uint16)
    packed = lossless(pixels, precision, predictor, shift, 2 * restarts)
    np.testing.assert_array_equal(decode_lossless(packed), pixels)


def test_lossless_jpeg_is_read_from_a_file(tmp_path):
    packed = [lossless(frame[..., np.newaxis], 12, 1, 0, 0) for frame in GREY]
    packed = [frame + b"\0" * (len(frame) % 2) for frame in packed]
    made = header(GREY, JPEGLosslessSV1)
    made.PixelData = encapsulate(packed)
    made["PixelData"].is_undefined_length = True
    made["PixelData"].VR = "OB"
    made.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    for frame in range(3):
        np.testing.assert_array_equal(read_array(tmp_path / "a.dcm", frame=frame), GREY[frame])


WHOLE = lossless(GREY[0, :6, :8, np.newaxis], 12, 4, 0, 0)


@given(st.integers(2, len(WHOLE) - 3))
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
def test_a_lossless_jpeg_cut_off_anywhere_is_refused(length):
    with pytest.raises(SensorError, match="packs"):
        decode_lossless(WHOLE[:length])


# ---------------------------------------------------------------- real files and lies


@pytest.mark.skipif(not REAL.exists(), reason="the real DICOM files are not beside the checkout")
@pytest.mark.parametrize("path", sorted(REAL.glob("*.dcm")), ids=lambda path: path.name)
def test_real_files_are_read_as_pydicom_reads_them(path):
    stored = pydicom.dcmread(path, force=True)
    lossless = stored.file_meta.TransferSyntaxUID == JPEGLosslessSV1
    read = read_array(path)
    if lossless:  # whose decoder pydicom does not bring
        assert (read.shape, read.min(), read.max()) == ((768, 1024), 0, 255)
        return
    wanted = pixel_array(stored)
    if stored.PhotometricInterpretation == "MONOCHROME1":
        wanted = (1 << stored.BitsStored) - 1 - wanted
    scaled = wanted * float(stored.get("RescaleSlope", 1)) + float(
        stored.get("RescaleIntercept", 0)
    )
    np.testing.assert_allclose(read, scaled)


LIES = {
    "rows that are not there": ({"Rows": 900}, "declares 3 frames of 86400 bytes, but 11520 bytes"),
    "more than may be read": ({"Rows": 60000, "Columns": 60000}, "declares 7200000000 bytes"),
    "frames that are not there": ({"NumberOfFrames": 9}, "declares 9 frames of 3840 bytes"),
    "a palette": ({"PhotometricInterpretation": "PALETTE COLOR"}, "1 channels of PALETTE"),
    "plain YBR": ({"PhotometricInterpretation": "YBR_FULL", "SamplesPerPixel": 3}, "plain YBR"),
    "bits that are none": ({"BitsStored": 15}, "stores 15 bits up to bit 11 of 16"),
    "one bit a pixel": ({"BitsAllocated": 1}, "allocates 1 bits"),
    "a table": ({"ModalityLUTSequence": Sequence([Dataset()])}, "by a table"),
    "a slope of 0": ({"RescaleSlope": "0", "RescaleIntercept": "1"}, "rescales by 0 and 1"),
}


@pytest.mark.parametrize("case", LIES)
def test_a_header_that_lies_is_refused_before_anything_is_decoded(tmp_path, case):
    said, message = LIES[case]
    with pytest.raises(SensorError, match=message):
        read_array(write(tmp_path / "a.dcm", GREY, **said), frame=0)


def test_a_packed_frame_of_another_size_is_refused(tmp_path):
    path = write(tmp_path / "a.dcm", GREY, JPEG2000Lossless, Rows=39)
    with pytest.raises(SensorError, match="a frame of 40 rows, 48 columns and 1 channels, but 39"):
        read_array(path, frame=0)


def test_a_bomb_is_refused_before_it_is_inflated(tmp_path):
    zeros = np.zeros((1, 4000, 4000), np.uint16)
    path = write(tmp_path / "a.dcm", zeros, DeflatedExplicitVRLittleEndian)
    assert path.stat().st_size < 1 << 16
    with pytest.raises(SensorError, match=r"at most 1000000 bytes are read"):
        read_array(path, max_bytes=1_000_000)


def test_a_packing_without_a_decoder_names_what_is_missing(tmp_path, monkeypatch):
    path = write(tmp_path / "a.dcm", GREY, JPEG2000Lossless)
    monkeypatch.setitem(_DECODERS, JPEG2000Lossless, ("absent", "dicom"))
    with pytest.raises(SensorError, match=r"decoder \(absent\) is not .* 'mmdefect\[dicom\]'"):
        read_array(path, frame=0)
    made = header(GREY, MPEG2MPML)
    made.PixelData = encapsulate([b"\0\0"] * 3)
    made["PixelData"].is_undefined_length = True
    made.save_as(tmp_path / "b.dcm", enforce_file_format=True)
    with pytest.raises(SensorError, match=r"packed by MPEG2 .* which is not read; export it"):
        read_array(tmp_path / "b.dcm", frame=0)


def test_a_file_that_is_no_dicom_is_refused(tmp_path):
    for body in (b"<html></html>", b"DICM", bytes(140)):
        (tmp_path / "a.dcm").write_bytes(body)
        with pytest.raises(SensorError, match=r"a\.dcm: "):
            read_array(tmp_path / "a.dcm")
