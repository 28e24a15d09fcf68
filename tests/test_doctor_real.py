"""What is known of the real captures beside the checkout, the doctor finds."""

from pathlib import Path

import pytest

from mmdefect.dataset import Dataset
from mmdefect.doctor import DOUBTFUL, GOOD_TO_KNOW, Examination, examine
from mmdefect.doctor.contents import series_findings


def told(found: Examination, check: str, category: str = "") -> str:
    return "\n".join(
        f"{f.severity}: {f.sensor}: {f.what} ({f.count}) {' '.join(f.captures)}"
        for f in found.findings
        if f.check == check and category in ("", f.category)
    )


@pytest.fixture(scope="module")
def mulsen(shared_folder: Path) -> Examination:
    return examine("folder", shared_folder / "data" / "mulsen-mini")


def test_mulsens_masks_copy_units_and_few_good_parts_are_found(mulsen: Examination) -> None:
    assert "7 defective captures have no mask" in told(mulsen, "truth", "capsule")
    assert "8 defective captures have no mask" in told(mulsen, "truth", "cube")
    assert "1 defective captures have an empty mask" in told(mulsen, "truth", "capsule")
    for category in ("capsule", "cube"):
        assert "2 masks mark 9 pixels or fewer" in told(mulsen, "truth", category)
        assert "10 good test parts" in told(mulsen, "split", category)
        assert "infrared is not registered to rgb" in told(mulsen, "registration", category)
        assert "infrared is in relative units" in told(mulsen, "units", category)
    copy = "capsule/test/broken_inside/004 = capsule/test/crack/007"
    assert copy in told(mulsen, "copies", "capsule")


def test_the_only_copies_of_mulsen_are_equal_within_half_a_hundredth(
    mulsen: Examination, shared_folder: Path
) -> None:
    import numpy as np
    from PIL import Image

    root = shared_folder / "data" / "mulsen-mini"
    for finding in [f for f in mulsen.findings if f.check == "copies"]:
        for pair in finding.captures:
            one, other = (
                np.array(
                    Image.open(root / category / split / kind / finding.sensor / f"{name}.png")
                )
                for category, split, kind, name in (c.split("/") for c in pair.split(" = "))
            )
            apart = one.astype(float) - other.astype(float)
            assert np.sqrt((apart**2).mean()) < 0.005 * 255, pair


def test_a_tire_without_a_scanner_is_fit_and_its_mask_values_are_told(shared_folder: Path) -> None:
    found = examine("mvtec3d", shared_folder / "data" / "mvtec3d-half")
    assert found.is_fit_for_training
    assert "221 of 221 captures have no points frame" in told(found, "sensors")
    assert "253, 254, 255" in told(found, "truth")
    assert not told(found, "copies")


def test_cracks_everywhere_dark_scenes_and_coarse_depth_are_found(shared_folder: Path) -> None:
    found = examine("crack_rgbdt", shared_folder / "data" / "crack-rgbdt")
    assert "no good part to learn from among 30 captures" in told(found, "split")
    assert "6 of 60 frames are far off the others' level" in told(found, "exposure")
    assert "infrared is not registered" in told(found, "registration")
    assert "in steps of about 0.49 mm" in told(found, "steps")
    assert "hold no measurement" in told(found, "invalid")
    assert not told(found, "copies")


def test_gdxrays_series_boxes_and_the_doubled_weld_are_found(shared_folder: Path) -> None:
    root = shared_folder / "data" / "gdxray"
    (series,) = series_findings(Dataset("gdxray", root), "Castings")
    assert "C0001: 72 defect (train)" in series.what
    assert "C0047: 12 defect (test), 60 good (test)" in series.what
    assert series.severity == GOOD_TO_KNOW
    found = examine("gdxray", root, categories=["Welding"])
    copies = told(found, "copies", "Welding")
    assert "W0001_0000.png, which is left out, is the same file as" in copies
    assert "W0001_0001.png" in copies
    assert "xray is in relative units" in told(found, "units")
    files = [f for f in found.findings if f.check == "files" and f.severity == DOUBTFUL]
    assert any("neither a mask nor a box list" in f.what for f in files)
    assert "no good part to learn from" in told(found, "split")
