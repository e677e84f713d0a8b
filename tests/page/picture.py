"""Makes the README's picture of report.html: `python -m tests.page.picture`."""

import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from pipeline.report import page
from tests.page import chromium, made

PICTURE = Path(__file__).with_name("report.png")


def main() -> None:
    with tempfile.TemporaryDirectory() as name, sync_playwright() as driver:
        folder = made.run(Path(name), made.train(260), made.held("unseen", 28), made.held("reworded", 12))
        page.write(folder)
        browser = driver.chromium.launch(executable_path=chromium.path(), args=list(chromium.FLAGS))
        tab = browser.new_page(viewport={"width": 1100, "height": 1180})
        tab.goto((folder / page.NAME).as_uri())
        tab.screenshot(path=PICTURE)
        browser.close()


if __name__ == "__main__":
    main()
