"""Radiometric JPEGs: planted counts, independent decoders, damaged files."""

import math
import struct
import tracemalloc
from contextlib import suppress
from pathlib import Path

import flyr
import numpy as np
import pytest
from flir_files import (
    CAMERA,
    as_jpeg,
    camera_record,
    counts_of,
    picture_record,
    raw_record,
    records,
    write_flir,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mmdefect.errors import CardError, SensorError
from mmdefect.flir import read_flir, visible
from mmdefect.sensors.infrared import Infrared

REAL = Path(__file__).resolve().parents[2] / "shared/data/crack-rgbdt"
FILES = sorted((REAL / "flir-radiometric").glob("*.jpg"))
needs_real = pytest.mark.skipif(not FILES, reason="the real radiometric files are not here")
COUNTS = counts_of()


def kelvin_by_hand(counts: float, camera: dict[str, float], *, halved: bool = True) -> float:
    """The measurement's equation, solved by bisection instead of inverted."""

    def black(kelvin: float) -> float:
        below = camera["r2"] * (math.exp(camera["b"] / kelvin) - camera["f"])
        return camera["r1"] / below - camera["o"]

    celsius = camera["air_temperature"] - 273.15
    vapour = camera["humidity"] * math.exp(
        1.5587 + 0.06939 * celsius - 0.00027816 * celsius**2 + 0.00000068455 * celsius**3
    )

    def air(metres: float) -> float:
        first, second = (
            math.exp(-math.sqrt(metres) * (camera[f"alpha{i}"] + camera[f"beta{i}"] * vapour**0.5))
            for i in (1, 2)
        )
        return camera["x"] * first + (1 - camera["x"]) * second

    metres = camera["distance"]
    before, behind = (air(metres / 2), air(metres / 2)) if halved else (air(metres), 1.0)

    def arriving(kelvin: float) -> float:
        emissivity, window = camera["emissivity"], camera["window_transmission"]
        seen = emissivity * black(kelvin) + (1 - emissivity) * black(
            camera["reflected_temperature"]
        )
        seen = before * seen + (1 - before) * black(camera["air_temperature"])
        seen = window * seen + (1 - window) * black(camera["window_temperature"])
        return behind * seen + (1 - behind) * black(camera["air_temperature"])

    low, high = 200.0, 800.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if arriving(middle) < counts else (low, middle)
    return low


@needs_real
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_real_files_agree_with_flyr_and_with_what_their_owners_published(path):
    thermogram = read_flir(path)
    theirs = flyr.unpack(str(path))
    np.testing.assert_allclose(thermogram.kelvin(), theirs.kelvin, atol=1e-4)
    assert np.array_equal(visible(path), theirs.optical)
    # published at an emissivity of 0.95 without air and window, in steps of 0.01 K
    number = int(path.stem.removeprefix("heat_"))
    with Image.open(REAL / f"test/thermal/{number:03d}.png") as image:
        published = np.array(image) * 0.01 + 273.15
    bare = Infrared(format="flir", scene={"window_transmission": 1, "distance": 0}).read(path)
    np.testing.assert_allclose(bare, published, atol=0.0051)


@needs_real
def test_the_fields_of_a_real_file_are_those_that_exiftool_prints():
    # exiftool 12.57 -n -FLIR:all heat_1.jpg
    thermogram = read_flir(FILES[0])
    scene, planck, air = thermogram.scene, thermogram.planck, thermogram.air
    assert thermogram.model == "FLIR ONE Pro (gen 3)"
    assert thermogram.counts.shape == (480, 640)
    assert (scene.emissivity, scene.distance, scene.humidity) == pytest.approx((0.95, 1.0, 0.5))
    assert scene.window_transmission == pytest.approx(0.8)
    found = (scene.reflected_temperature, scene.air_temperature, scene.window_temperature)
    assert found == pytest.approx((295.15, 293.15, 298.15), abs=1e-4)
    assert (planck.r1, planck.b, planck.f) == pytest.approx((17876.69921875, 1435, 1))
    assert (planck.offset, planck.r2) == pytest.approx((-2383, 0.0125))
    assert (air.alpha1, air.alpha2) == pytest.approx((0.006569, 0.01262))
    assert (air.beta1, air.beta2, air.x) == pytest.approx((-0.002276, -0.006677, 1.9))


@pytest.mark.parametrize("outer", ["<", ">"])
@pytest.mark.parametrize("inner", ["<", ">"])
@pytest.mark.parametrize("payload", ["raw", "png", "png as it should be"])
@pytest.mark.parametrize("piece", [500, 60000])
def test_planted_counts_come_back_in_every_order_payload_and_cut(
    tmp_path, outer, inner, payload, piece
):
    path = write_flir(
        tmp_path / "a.jpg",
        COUNTS,
        outer=outer,
        inner=inner,
        payload=payload,
        piece=piece,
        shuffled=piece == 500,
    )
    thermogram = read_flir(path)
    assert np.array_equal(thermogram.counts, COUNTS)
    assert thermogram.counts.dtype == np.uint16
    kelvin = thermogram.kelvin()
    for place in ((0, 0), (7, 9), (23, 31)):
        by_hand = kelvin_by_hand(int(COUNTS[place]), CAMERA)
        assert kelvin[place] == pytest.approx(by_hand, abs=1e-4)


@pytest.mark.parametrize("payload", ["raw", "png"])
@pytest.mark.parametrize("piece", [700, 60000])
def test_written_files_agree_with_flyr(tmp_path, payload, piece):
    path = write_flir(tmp_path / "a.jpg", COUNTS, payload=payload, piece=piece)
    np.testing.assert_allclose(read_flir(path).kelvin(), flyr.unpack(str(path)).kelvin, atol=0.005)


SCENES = st.fixed_dictionaries(
    {
        "emissivity": st.floats(0.3, 1),
        "distance": st.floats(0, 40),
        "reflected_temperature": st.floats(270, 320),
        "air_temperature": st.floats(263, 313),
        "humidity": st.floats(0, 1),
        "window_temperature": st.floats(280, 320),
        "window_transmission": st.floats(0.5, 1),
    }
)


@settings(max_examples=40, deadline=None)
@given(SCENES)
def test_any_scene_agrees_with_flyr(tmp_path_factory, scene):
    path = tmp_path_factory.getbasetemp() / "scene.jpg"
    theirs = flyr.unpack(str(write_flir(path, COUNTS, **scene))).kelvin
    ours = Infrared(format="flir").read(path).values
    known = np.isfinite(ours) & np.isfinite(theirs)
    # flyr rounds temperatures of the scene to 0.01 K
    np.testing.assert_allclose(ours[known], theirs[known], atol=0.05)
    plain = write_flir(path, COUNTS)
    told = Infrared(format="flir", scene=scene).read(plain).values
    np.testing.assert_allclose(told, ours, atol=1e-3)


def test_what_the_card_says_of_the_scene_overrides_the_file(tmp_path):
    path = write_flir(tmp_path / "a.jpg", COUNTS)
    told = {"emissivity": 0.5, "distance": 20.0, "window_at": "camera"}
    frame = Infrared(format="flir", scene=told).read(path)
    assert frame.attrs == {"units": "K", "modality": "infrared"}
    by_hand = kelvin_by_hand(int(COUNTS[7, 9]), CAMERA | told, halved=False)
    assert frame.values[7, 9] == pytest.approx(by_hand, abs=1e-3)


def test_a_percentage_of_humidity_is_a_share(tmp_path):
    told = [write_flir(tmp_path / f"{h}.jpg", COUNTS, humidity=h) for h in (0.45, 45.0)]
    one, other = (read_flir(path).kelvin() for path in told)
    np.testing.assert_allclose(one, other, atol=1e-4)


def test_less_than_the_surroundings_send_is_no_temperature(tmp_path):
    counts = COUNTS.copy()
    counts[3, 4] = 7
    frame = Infrared(format="flir").read(write_flir(tmp_path / "a.jpg", counts))
    assert np.isnan(frame.values[3, 4])
    assert np.isfinite(frame).sum() == COUNTS.size - 1


def test_the_photograph_comes_back(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    path = write_flir(tmp_path / "a.jpg", COUNTS, picture=picture)
    assert np.array_equal(visible(path), picture)
    with pytest.raises(SensorError, match=r"b\.jpg: holds no photograph"):
        visible(write_flir(tmp_path / "b.jpg", COUNTS))


def test_records_without_a_jpeg_are_read_too(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(records({0x01: raw_record(COUNTS), 0x20: camera_record()}))
    assert np.array_equal(read_flir(path).counts, COUNTS)


def bodies(**changed: bytes) -> dict[int, bytes]:
    kinds = {"raw": 0x01, "camera": 0x20}
    told = {"raw": raw_record(COUNTS), "camera": camera_record()} | changed
    return {kinds[name]: body for name, body in told.items() if body}


def plain_jpeg(path: Path) -> None:
    Image.new("RGB", (8, 8)).save(path)


BROKEN = {
    "without a FLIR camera's records": plain_jpeg,
    "radiometric JPEG was promised": lambda p: p.write_bytes(b"\x89PNG\r\n\x1a\n"),
    "is empty": lambda p: p.write_bytes(b""),
    "header that is not the camera's": lambda p: p.write_bytes(as_jpeg(b"FFF\0" + bytes(80))),
    "no counts of the detector": lambda p: p.write_bytes(as_jpeg(records(bodies(raw=b"")))),
    "no constants of the camera": lambda p: p.write_bytes(as_jpeg(records(bodies(camera=b"")))),
    "records twice": lambda p: p.write_bytes(
        as_jpeg(records(bodies()), 900).replace(b"FLIR\0\x01\x01", b"FLIR\0\x01\x02")
    ),
    "holds 3 pieces of the camera's records, but 4": lambda p: p.write_bytes(
        as_jpeg(records(bodies()), 900).replace(b"FLIR\0\x01\x03", b"PULP\0\x01\x03")
    ),
    "promises 24x32 pixels, but holds": lambda p: p.write_bytes(
        as_jpeg(records(bodies(raw=raw_record(COUNTS)[:-2])))
    ),
    "declares": lambda p: p.write_bytes(
        as_jpeg(records(bodies(raw=struct.pack("<HHH", 2, 65535, 65535).ljust(64, b"\0"))))
    ),
    "which no camera has": lambda p: p.write_bytes(
        as_jpeg(records(bodies(camera=camera_record(r1=math.nan))))
    ),
    r"states emissivity 0\.0.*give it in the card": lambda p: p.write_bytes(
        as_jpeg(records(bodies(camera=camera_record(emissivity=0.0))))
    ),
    "of air, but one up to 1": lambda p: p.write_bytes(
        as_jpeg(records(bodies(camera=camera_record(distance=1e7))))
    ),
    "give no counts": lambda p: p.write_bytes(
        as_jpeg(records(bodies(camera=camera_record(reflected_temperature=5000.0, f=2.0))))
    ),
    "beyond": None,
}


def write_beyond(path: Path) -> None:
    whole = bytearray(records(bodies()))
    struct.pack_into(">I", whole, 64 + 32 + 12, 1 << 30)
    path.write_bytes(as_jpeg(bytes(whole)))


BROKEN["places record 1 at bytes 1073741824"] = write_beyond
del BROKEN["beyond"]


@pytest.mark.parametrize("said", BROKEN)
def test_a_broken_file_says_what_is_wrong_with_it(tmp_path, said):
    path = tmp_path / "broken.jpg"
    BROKEN[said](path)
    with pytest.raises(SensorError, match=rf"broken\.jpg: .*({said})"):
        Infrared(format="flir").read(path)


def test_an_impossible_scene_is_mended_by_the_card(tmp_path):
    path = write_flir(tmp_path / "a.jpg", COUNTS, emissivity=0.0)
    assert np.isfinite(Infrared(format="flir", scene={"emissivity": 0.9}).read(path)).all()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"format": "seq"}, "format is 'seq'"),
        ({"scene": {"emissivity": 0.9}}, 'without format "flir"'),
        ({"format": "flir", "scene": {"emissivty": 0.9}}, r"\['emissivty'\].*emissivity"),
        ({"format": "flir", "scene": {"emissivity": 0}}, "emissivity is 0, but a share"),
        ({"format": "flir", "scene": {"humidity": 50}}, "humidity is 50, but a share"),
        ({"format": "flir", "scene": {"air_temperature": -3}}, "a temperature in K"),
        ({"format": "flir", "scene": {"distance": math.inf}}, "metres were promised"),
        ({"format": "flir", "scene": {"window_at": "part"}}, "one of middle, camera"),
        ({"format": "flir", "scene": 0.9}, "scene has 0.9"),
        ({"format": "flir", "scale": 0.1}, "leave one or the other out"),
        ({"format": "flir", "unit": "degC"}, "leave one or the other out"),
        ({"format": "flir", "hole": 0}, "beside key, hole, frame"),
    ],
)
def test_a_wrong_option_is_named(options, said):
    with pytest.raises(CardError, match=said):
        Infrared(**options)


WHOLE = as_jpeg(
    records(
        bodies(raw=raw_record(COUNTS, "<", "png"))
        | {0x0E: picture_record(np.zeros((9, 8, 3), np.uint8))}
    ),
    900,
)
FLIPS = st.lists(
    st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), min_size=1, max_size=8
)


@settings(max_examples=150, deadline=None)
@given(FLIPS, st.integers(0, len(WHOLE)), st.booleans())
def test_damaged_files_give_a_frame_or_say_why_not(tmp_path_factory, flips, length, cut):
    damaged = bytearray(WHOLE)
    for place, value in flips:
        damaged[place] = value
    path = tmp_path_factory.getbasetemp() / "damaged.jpg"
    path.write_bytes(bytes(damaged[:length] if cut else damaged))
    for read in (Infrared(format="flir").read, visible):
        with suppress(SensorError):
            assert read(path).ndim in (2, 3)


def test_a_small_file_cannot_claim_much_memory(tmp_path):
    lie = bytearray(raw_record(COUNTS, "<", "png"))
    struct.pack_into("<HH", lie, 2, 20000, 20000)
    path = tmp_path / "lie.jpg"
    path.write_bytes(as_jpeg(records(bodies(raw=bytes(lie)))))
    read_flir(write_flir(tmp_path / "warm.jpg", COUNTS, payload="png"))
    tracemalloc.start()
    with pytest.raises(SensorError, match="cut off or damaged"):
        read_flir(path)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
