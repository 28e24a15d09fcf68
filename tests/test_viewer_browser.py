"""The viewer in a real browser: what a person does, and what the page answers."""

import json
import shutil
import time
from pathlib import Path

import pytest
from shown import HEIGHT, WIDTH, packed, record_of, scene_of

from mmdefect.viewer import Link, page_of

BROWSER = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
DRIVER = shutil.which("chromedriver")
PATIENCE = 30.0

pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason="no chromium is here"),
    pytest.mark.skipif(DRIVER is None, reason="no chromedriver is here (Debian: chromium-driver)"),
]


class Browser:
    """A headless Chromium and one page in it."""

    def __init__(self, *flags: str) -> None:
        webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
        options = webdriver.ChromeOptions()
        options.binary_location = BROWSER
        for flag in (
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--window-size=1500,950",
            *flags,
        ):
            options.add_argument(flag)  # fmt: skip
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        service = webdriver.ChromeService(DRIVER)
        self.driver = webdriver.Chrome(options=options, service=service)
        self.driver.set_page_load_timeout(120)

    def open(self, path: Path) -> None:
        self.driver.get("about:blank")  # else a busy driver may still ask the page before
        for kind in ("browser", "performance"):
            self.driver.get_log(kind)
        self.driver.get(path.as_uri())
        told = "const told = document.documentElement?.dataset || {};"
        done = self.until(f"{told} return told.ready === 'failed' ? told.ready : told.whole")
        if done == "failed":
            raise AssertionError(self.text("#fault"))

    def until(self, script: str, wanted: object = None) -> object:
        """Wait until a script gives what is wanted, or anything at all."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            found = self.run(script)
            if found if wanted is None else found == wanted:
                return found
            time.sleep(0.05)
        raise AssertionError(f"{script!r} gave {found!r}, not {wanted!r}")

    def run(self, script: str, *arguments: object) -> object:
        return self.driver.execute_script(script, *arguments)

    def find(self, selector: str):
        return self.driver.find_element("css selector", selector)

    def text(self, selector: str) -> str:
        return self.find(selector).text

    def press(self, keys: str, selector: str = "body") -> None:
        self.find(selector).send_keys(keys)

    def point(self, pane: str, x: float, y: float, *, click: bool = False) -> None:
        """Put the mouse on a pixel of the scene."""
        from selenium.webdriver import ActionChains

        canvas = self.find(f'canvas[data-pane="{pane}"]')
        size = canvas.size
        dx = (x + 0.5) / WIDTH * size["width"] - size["width"] / 2
        dy = (y + 0.5) / HEIGHT * size["height"] - size["height"] / 2
        chain = ActionChains(self.driver, duration=0)
        chain.move_to_element_with_offset(canvas, round(dx), round(dy))
        (chain.click() if click else chain).perform()

    def reading(self) -> dict[str, list[str]]:
        """What stands under the pointer: measured, evidence and share by sensor."""
        rows = self.run(
            "return [...document.querySelectorAll('#reading tbody tr')]"
            ".map(row => [...row.cells].map(cell => cell.textContent))"
        )
        return {row[0]: row[1:] for row in rows}

    def picture(self, pane: str) -> str:
        """The pixels of a pane, to tell whether they changed."""
        canvas = self.find(f"canvas[data-pane='{pane}']")
        return str(self.run("return arguments[0].toDataURL()", canvas))

    def until_picture(self, pane: str, other: str, *, same: bool) -> str:
        """Wait until a pane looks the same as it did once, or not."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            found = self.picture(pane)
            if (found == other) == same:
                return found
            time.sleep(0.05)
        raise AssertionError(f"the pane {pane} {'never came back' if same else 'never changed'}")

    def complaints(self) -> list[str]:
        return [line["message"] for line in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Everything that was asked for since the page was opened."""
        told = [json.loads(line["message"])["message"] for line in
                self.driver.get_log("performance")]  # fmt: skip
        sent = [one["params"]["request"]["url"] for one in told
                if one["method"] == "Network.requestWillBeSent"]  # fmt: skip
        return [url for url in sent if not url.startswith("data:")]


@pytest.fixture(scope="module")
def browser():
    started = Browser("--use-angle=swiftshader", "--enable-unsafe-swiftshader")
    yield started
    started.driver.quit()


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    """A defect, the same part good, and one that lacks the X-ray and has no number for it."""
    captures = [
        packed(),
        packed(scene_of(name="part/8"), verdict="good", image_score=1.0, p_value=0.7, regions=[]),
        packed(scene_of(absent=["xray"], apart=["infrared"], name="part/9"), verdict="refer",
               threshold=None),
    ]  # fmt: skip
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text("".join(page_of(captures, "plates")), encoding="utf-8")
    return path


@pytest.fixture
def page(browser, path) -> Browser:
    browser.open(path)
    return browser


def test_the_page_opens_without_a_complaint_and_asks_for_nothing_else(page, path):
    assert page.run("return document.documentElement.dataset.ready") != "failed"
    panes = page.run("return [...document.querySelectorAll('canvas[data-pane]')]"
                     ".map(one => one.dataset.pane)")  # fmt: skip
    assert panes == ["fused", "rgb", "points", "points in 3D", "infrared", "xray"]
    assert page.requests() == [path.as_uri()]
    assert page.complaints() == []
    assert page.text("#verdict") == "defect"
    assert "score 3.00 > threshold 2.30 · p 0.0500" in page.text("#numbers")
    assert page.run("return document.querySelector('[data-renderer]').dataset.renderer") == "webgl2"


def test_the_read_out_tells_every_sensor_in_its_units(page):
    page.point("rgb", 44, 23)
    told = page.reading()
    assert told["rgb"][0] == "R 40 % G 40 % B 40 %"
    assert told["points"][0].startswith("z 45")
    assert told["points"][0].endswith(" mm")
    kelvin, celsius = told["infrared"][0].removeprefix("T ").removesuffix(" °C)").split(" K (")
    assert float(kelvin) - 273.15 == pytest.approx(float(celsius), abs=0.006)
    assert "attenuation 0.69" in told["xray"][0]
    assert told["xray"][0].count("\n") == 2
    assert [told[name][1] for name in ("rgb", "points", "infrared", "xray", "fused")] == [
        "0.50", "6.00", "20.00", "1.00", "27.50"
    ]  # fmt: skip
    assert told["infrared"][2] == "20.00"
    assert "x 44, y 23 px" in page.text("#where")
    page.point("xray", 3, 3)
    assert page.reading()["infrared"][0] == "no data"
    assert page.reading()["infrared"][1] == "–"


def test_a_click_holds_a_place_and_escape_lets_it_go(page):
    page.point("fused", 44, 23, click=True)
    page.point("fused", 5, 40)
    assert "x 44, y 23 px (held; Esc lets go)" in page.text("#where")
    assert "infrared: T 30" in page.run("return document.getElementById('spoken').textContent")
    page.press("\ue00c")
    page.until("return document.getElementById('where').textContent.startsWith('Point at')", True)


def test_the_slider_moves_the_verdict_and_says_what_follows(page):
    slide = (
        "const one = document.getElementById('threshold'); one.value = arguments[0];"
        "one.dispatchEvent(new Event('input', {bubbles: true}))"
    )
    page.run(slide, 3.05)
    assert page.text("#verdict") == "good"
    assert "0 of 19 good parts" in page.text("#consequence")
    page.run(slide, 1.45)
    assert page.text("#verdict") == "defect"
    said = page.text("#consequence")
    assert "9 of 19 good parts that were kept for calibration lie above" in said
    assert "at most 50 % false alarms" in said
    options = page.run("return [...document.getElementById('capture').options].map(o => o.text)")
    assert options[1] == "part/8 — good"
    page.run(slide, 0.6)
    assert page.run("return document.getElementById('capture').options[1].text").endswith("defect")
    page.find("#restore").click()
    assert page.text("#verdict") == "defect"
    assert "threshold 2.30" in page.text("#numbers")
    page.press("\ue014", "#threshold")  # the arrow to the right
    assert "Moved" in page.text("#consequence")


def test_keys_lead_from_capture_to_capture(page):
    def title() -> str:
        return page.run("return document.title")

    page.press("n")
    page.until("return document.title", "part/8: good")
    assert page.text("#verdict") == "good"
    assert not page.find("#regions").is_displayed()
    page.press("n")
    page.until("return document.title", "part/9: refer")
    page.press("n")
    assert title() == "part/9: refer"
    page.press("p")
    page.until("return document.title", "part/8: good")


def test_an_absent_sensor_and_one_on_its_own_grid_say_so(page):
    page.press("n")
    page.press("n")
    page.until("return document.title", "part/9: refer")
    assert page.text(".absent") == "absent: measured nothing in this capture"
    assert "own grid, not registered" in page.text("#grid")
    page.point("rgb", 44, 23)
    told = page.reading()
    assert told["xray"][0] == "absent"
    assert told["infrared"][0] == ""
    page.point("infrared", 44, 23)
    assert "on its own grid: x 44, y 23" in page.text("#where")
    assert page.reading()["infrared"][0].startswith("T 30")
    assert page.reading()["rgb"][0] == ""
    assert "no threshold can be promised" in page.text("#numbers")
    assert "Too few good parts" in page.text("#consequence")


def test_every_mode_shows_something_else_and_keys_choose_it(page):
    seen = [page.picture("fused")]
    for key, mode in zip("1324", ("frames", "evidence", "over", "attribution"), strict=True):
        page.press(key)
        page.until("return document.querySelector('[name=mode]:checked').value", mode)
        seen.append(page.until_picture("fused", seen[-1], same=False))
    assert seen[3] == seen[0]
    assert len(set(seen)) == 4
    assert page.text("#legend").startswith("Attribution")
    assert {"rgb", "points", "infrared", "xray"} <= set(page.text("#grid .scales").split())


def test_a_region_leads_to_its_place(page):
    before = page.picture("infrared")
    row = page.text("#regions tbody tr").split("\n")
    seen = "infrared, points 1 K warmer than good parts there (infrared)"
    assert " ".join(row) == f"1 20.0 mm² 0.050 27.50 {seen}"
    page.find("#regions button").click()
    assert "x 44, y 23 px" in page.text("#where")
    page.until_picture("infrared", before, same=False)
    page.press("r")
    page.press("\ue00c")
    page.until_picture("infrared", before, same=True)


def test_a_region_says_why(page):
    assert page.text("#why-title") == "Why region 1"
    items = page.run("return [...document.querySelectorAll('#why li')]"
                     ".map(one => one.firstChild.textContent)")  # fmt: skip
    assert items == [
        "1 K warmer than good parts there (infrared)",
        "attenuation 2 more (xray)",
        "infrared: 9 times the usual distance; that is part/1 at x 4, y 2",
        "with the 4 patches of infrared replaced the score falls from 3 to 1: good",
    ]
    scale = page.text(".beside p")
    assert scale.startswith("temperature less its part's median −0.0")
    assert scale.endswith(" K")
    shown = page.run("return [...document.querySelectorAll('.patch img')]"
                     ".map(one => [one.alt, one.complete, one.naturalWidth])")  # fmt: skip
    assert shown == [["this part", True, 48], ["part/1", True, 48]]
    frame, whole = (page.find(f".patch {tag}").size for tag in ("i", "img"))
    assert frame["width"] == pytest.approx(whole["width"] * 4 / 48, abs=2)
    assert page.text("#why .numbers").split() == "infrared 77 % points 23 % rgb −2 %".split()
    assert page.text("#guarantee") == "Promised: of good parts at most 5 %."
    page.press("n")
    page.until("return document.title", "part/8: good")
    assert not page.find("#why").is_displayed()


def test_arrows_move_the_pointer_and_turn_the_cloud(page):
    page.press("\ue014\ue014\ue015", "canvas[data-pane='infrared']")
    assert "x 34, y 25 px" in page.text("#where")
    before = page.picture("points in 3D")
    page.press("\ue014", "canvas[data-pane='points in 3D']")
    page.until("return document.querySelector('[data-turn]')?.dataset.turn", "0.600 0.850")
    page.until_picture("points in 3D", before, same=False)


def test_a_mouse_turns_the_cloud_and_reads_it(page):
    from selenium.webdriver import ActionChains

    canvas = page.find("canvas[data-pane='points in 3D']")
    chain = ActionChains(page.driver, duration=0)
    chain.move_to_element(canvas).perform()
    assert "x " in page.text("#where")
    assert page.reading()["points"][0].startswith("z 4")
    chain.move_to_element(canvas).click_and_hold().move_by_offset(40, -30).release().perform()
    turn, tilt = page.run("return document.querySelector('[data-turn]').dataset.turn").split()
    assert float(turn) == pytest.approx(0.9)
    assert float(tilt) == pytest.approx(1.15)


def test_the_outline_and_the_regions_can_be_switched_off(page):
    both = page.picture("rgb")
    page.press("t")
    one = page.until_picture("rgb", both, same=False)
    page.press("b")
    assert page.until_picture("rgb", one, same=False) != both


def test_everything_can_be_reached_by_tab_and_has_a_name(page):
    names = page.run(
        "return [...document.querySelectorAll('button, select, input, canvas, a')].filter(one =>"
        " !one.hidden && !(one.getAttribute('aria-label') || one.title || one.textContent.trim()"
        " || (one.labels && one.labels.length))).map(one => one.outerHTML)"
    )
    assert names == []
    for canvas in page.driver.find_elements("css selector", "canvas[data-pane]"):
        assert canvas.get_attribute("tabindex") == "0"


def test_links_lead_to_the_pages_beside_it(browser, tmp_path):
    links = {"previous": Link("one.html", "‹ before"), "up": Link("one.html", "report")}
    for name, leads in (("one.html", {}), ("two.html", links)):
        (tmp_path / name).write_text("".join(page_of([packed()], name, leads)), encoding="utf-8")
    browser.open(tmp_path / "two.html")
    assert browser.text("#links").split("\n") == ["‹ before", "report"]
    browser.press("p")
    browser.until("return document.getElementById('title').textContent", "one.html")


def test_a_hostile_name_is_shown_and_not_run(browser, tmp_path):
    name = "<img src=x onerror=\"document.title='owned'\"></script><script>1/0</script>"
    path = tmp_path / "hostile.html"
    region = record_of(scene_of())["regions"][0]
    region["beside"][0]["capture"] = name
    pages = page_of([packed(scene_of(name=name), regions=[region])], name)
    path.write_text("".join(pages), encoding="utf-8")
    browser.open(path)
    assert browser.text("#title") == name
    assert browser.text(".beside figure + figure figcaption") == name
    patches = browser.run("return [...document.images].map(one => one.src.slice(0, 22))")
    assert patches == ["data:image/png;base64,"] * 2
    assert browser.requests() == [path.as_uri()]
    assert browser.complaints() == []


def test_without_webgl_points_are_drawn_all_the_same(path):
    plain = Browser("--disable-3d-apis", "--disable-gpu")
    try:
        plain.open(path)
        one = "document.querySelector('[data-renderer]')"
        assert plain.run(f"return {one}.dataset.renderer") == "canvas"
        colors = plain.run(
            f"const own = {one}; const all = own.getContext('2d').getImageData(0, 0, own.width,"
            "own.height).data; return new Set(new Uint32Array(all.buffer)).size"
        )
        assert colors > 50
        assert plain.complaints() == []
    finally:
        plain.driver.quit()
