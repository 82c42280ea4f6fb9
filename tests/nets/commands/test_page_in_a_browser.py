"""The page of a run in Chromium, headless: skipped where it is not installed."""

import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from tests.nets.cli_runner import SMALL, succeed

DRIVER = shutil.which("chromedriver")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(DRIVER is None, reason="chromedriver is not installed"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "out"
    succeed("run", *SMALL, "--out", folder)
    succeed("report", folder)
    return folder / "report.html"


@pytest.mark.parametrize("width", [1200, 500])
def test_it_shows_all_pictures_and_asks_for_nothing_else(
    browser: webdriver.Chrome, page: Path, width: int
) -> None:
    browser.set_window_size(width, 900)
    browser.get(page.as_uri())
    assert browser.title == "out: barcodes"
    sizes = browser.execute_script("return [...document.images].map(i => i.naturalWidth)")
    assert len(sizes) == 5
    assert all(size > 100 for size in sizes)
    asked = browser.execute_script(
        "return performance.getEntriesByType('resource').map(e => e.name)"
    )
    assert [name for name in asked if not name.startswith("data:")] == []
    assert browser.get_log("browser") == []
    overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert browser.execute_script(overflow) == 0


def test_settings_open_when_they_are_clicked(browser: webdriver.Chrome, page: Path) -> None:
    browser.get(page.as_uri())
    settings = browser.find_elements(By.TAG_NAME, "details")[-1]
    assert not settings.find_element(By.TAG_NAME, "table").is_displayed()
    settings.find_element(By.TAG_NAME, "summary").click()
    assert settings.find_element(By.TAG_NAME, "table").is_displayed()
    assert "max_dim" in settings.text


COLUMNS = """
const boxes = [...document.querySelectorAll("figure")].map(f => f.getBoundingClientRect());
return boxes.map(box => [box.left, box.top, box.bottom]);
"""


def test_pictures_stand_in_two_columns_without_holes(browser: webdriver.Chrome, page: Path) -> None:
    browser.set_window_size(1400, 900)
    browser.get(page.as_uri())
    boxes: list[list[float]] = browser.execute_script(COLUMNS)
    columns = {left: [box for box in boxes if box[0] == left] for left, _, _ in boxes}
    assert len(columns) == 2
    for column in columns.values():
        gaps = [below[1] - above[2] for above, below in pairwise(column)]
        assert all(gap < 40 for gap in gaps), gaps
    browser.set_window_size(500, 900)
    assert len({left for left, _, _ in browser.execute_script(COLUMNS)}) == 1


def test_it_is_dark_where_a_reader_asks_for_that(browser: webdriver.Chrome, page: Path) -> None:
    browser.get(page.as_uri())
    shades = {}
    for scheme in ("light", "dark"):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        style = "const s = getComputedStyle(document.body); return [s.color, s.backgroundColor]"
        shades[scheme] = browser.execute_script(style)
    assert shades == {
        "light": ["rgb(34, 34, 34)", "rgb(255, 255, 255)"],
        "dark": ["rgb(228, 228, 228)", "rgb(22, 24, 28)"],
    }
