"""The page of a run in Chromium, headless: skipped where it is not installed."""

import shutil
from collections.abc import Iterator
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
