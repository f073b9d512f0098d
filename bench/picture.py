"""The first screen of a report as the README shows it: `python -m bench.picture out/report.html docs/report.png`."""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from .page import FLAGS


def main(report: Path, picture: Path) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(color_scheme="light", viewport={"width": 1280, "height": 890}, device_scale_factor=1.5)
        page.goto(report.resolve().as_uri())
        page.wait_for_selector("html[data-drawn]", state="attached")
        page.screenshot(path=picture)
        browser.close()
    print(f"{picture}: {picture.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
