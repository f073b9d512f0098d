"""How long the report takes on 71,000 hourly bars: to write, and to be drawn in Chromium, by the page's own clock.

The bars are simulated, since the real ones of that number reach into the sealed zone; their count is what matters here.
"""

import shutil
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

import polars as pl
from playwright.sync_api import Browser, sync_playwright

from coincast.backtest import backtest
from coincast.clean import Cleaned, Repairs
from coincast.feed import from_numpy
from coincast.recipe import recipes
from coincast.report import render
from coincast.runs import Run, versions
from coincast.worlds import Law, draw

BARS, TEST_BARS = 71_000, 50_000
MODELS = ("naive", "ewma-t", "garch-t")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
LOADS = 5


def hourly() -> Run:
    world = draw(Law(volatility=0.006, alpha=0.05, beta=0.93), BARS, seed=0, feed="simulated:COIN/USD:1h")
    start = from_numpy(world.candles.known_at[BARS - TEST_BARS])
    settings = {"horizons": (1, 24), "refit_every": 2880}
    walks = backtest(recipes(MODELS, settings), world.candles, start)
    none = Repairs(pl.DataFrame(schema={"time": pl.Datetime("us", "UTC"), "kind": pl.String, "put": pl.Float64}))
    return Run(Cleaned(world.candles, none), "simulated", False, start, tuple(walks), {}, versions())


def drawn(browser: Browser, page: Path, width: int) -> float:
    """Seconds from navigation until the last chart stands."""
    with browser.new_context(viewport={"width": width, "height": 800}) as context:
        tab = context.new_page()
        tab.goto(page.as_uri())
        tab.wait_for_selector("html[data-drawn]", timeout=120_000, state="attached")
        return tab.evaluate("performance.getEntriesByName('drawn')[0].startTime") / 1000


def main() -> None:
    executable = shutil.which("chromium")
    if executable is None:
        raise SystemExit("No Chromium on the path.")
    run = hourly()
    _ = run.summaries, run.verdicts
    began = perf_counter()
    document = render(run)
    written = perf_counter() - began
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page = Path(folder) / "report.html"
        page.write_text(document, encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        print(f"| report on {BARS:,} hourly bars, {TEST_BARS:,} origins | |\n|---|---|")
        print(f"| written | {written:.1f} s, {len(document.encode()) / 1e6:.2f} MB |")
        for width in (1280, 390):
            seconds = sorted(drawn(browser, page, width) for _ in range(LOADS))
            print(f"| drawn, {width} px wide | {median(seconds):.2f} s, of {LOADS} the slowest {seconds[-1]:.2f} s |")
        browser.close()


if __name__ == "__main__":
    main()
