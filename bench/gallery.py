"""The numbers and pictures of docs/gallery.md: `python -m bench.gallery` makes them anew, some ten minutes of work.

What a run found is kept in docs/gallery/; `woven` writes it into the chapter, between marks, and a test holds the
chapter to what is kept.
"""

import inspect
import json
import re
import shutil
import tempfile
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from coincast.gallery import tutorial
from coincast.gallery.curator import show
from coincast.gallery.exhibit import Gallery
from coincast.gallery.faults import MISTAKES, mistake_named
from coincast.gallery.learners import Ridge
from coincast.gallery.lstm import Lstm
from coincast.report import render_audit
from coincast.report.gallery_page import render_gallery
from coincast.sample import load, sample_named
from coincast.workers import Processes

from .page import FLAGS

SAMPLE = "btc-1d"
NETWORKS = 3
ROOT = Path(__file__).parents[1]
CHAPTER = ROOT / "docs" / "gallery.md"
FOLDER = ROOT / "docs" / "gallery"
KEPT = {"lstm": FOLDER / "lstm.json", "ridge": FOLDER / "ridge.json"}
MARK = re.compile(r"(<!-- (\w[\w -]*): written by bench/gallery\.py -->\n).*?(<!-- end -->)", flags=re.DOTALL)

Document = Mapping[str, Any]


def main() -> None:
    processes = Processes(2)
    candles, start = load(SAMPLE).candles, sample_named(SAMPLE).test_from
    networks = [Lstm(seed=seed) for seed in range(NETWORKS)]
    shown = show(MISTAKES, candles, start, networks, do=processes)
    plain = show(MISTAKES, candles, start, [Ridge()], do=processes)
    keep(shown, KEPT["lstm"])
    keep(plain, KEPT["ridge"])
    CHAPTER.write_text(woven(CHAPTER.read_text()))
    pictures(shown, plain)
    print(f"{shown.sentence} {shown.seconds:.0f} s, with a ridge regression {plain.seconds:.0f} s")


def keep(shown: Gallery, path: Path) -> None:
    """What a run found, but for how long it took."""
    document = {name: value for name, value in shown.document().items() if name != "timing"}
    path.write_text(json.dumps(_rounded(document), indent=1) + "\n")


def _rounded(value: object) -> object:
    """Six digits: what follows differs from one processor to the next."""
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


# --- the chapter ------------------------------------------------------------------------------------------------------


def woven(chapter: str) -> str:
    """The chapter with what the kept runs found between its marks."""
    documents = {name: json.loads(path.read_text()) for name, path in KEPT.items()}
    written = {f"table {name}": table(document) for name, document in documents.items()}
    written |= {f"mistake {one['name']}": section(one) for one in documents["lstm"]["exhibits"]}
    whole = "\n\n\n".join(inspect.getsource(function).rstrip() for function in (tutorial.learn, tutorial.forecast))
    written |= {"sentence": f"{_lines(documents['lstm']['sentence'])}\n", "recipe": f"```python\n{whole}\n```\n"}

    def write(found: re.Match[str]) -> str:
        return f"{found[1]}{written[found[2]]}{found[3]}"

    return MARK.sub(write, chapter)


def table(document: Document) -> str:
    """A row a mistake: what is reported, what is lived, what the audit calls it."""
    head = "| | mistake | MAPE, sound | reported | live | R2, sound | reported | x no change, reported | live |\n"
    rows = "".join(_row(one) for one in document["exhibits"])
    return f"{head}|---|---|---|---|---|---|---|---|---|\n{rows}"


def _row(one: Document) -> str:
    sound, told, lived = (middle(one[name]) for name in ("sound", "reported", "live"))
    cells = [
        str(one["number"]),
        f"[`{one['name']}`](#{anchor(one)})",
        _percent(sound["mape"]),
        f"**{_percent(told['mape'])}**" if "MAPE" in one["better_in"] else _percent(told["mape"]),
        _percent(lived["mape"]),
        f"{sound['r2']:.4f}",
        f"**{told['r2']:.4f}**" if "R2" in one["better_in"] else f"{told['r2']:.4f}",
        _times(told["rmse_ratio"]),
        _times(lived["rmse_ratio"]),
    ]
    return f"| {' | '.join(cells)} |\n"


def anchor(one: Document) -> str:
    """Where the chapter tells of a mistake."""
    return re.sub(r"[^a-z0-9 -]", "", f"{one['number']}. {one['title']}".lower()).replace(" ", "-")


def middle(scores: list[Document]) -> Document:
    """The median of each number over the runs."""
    names = ("mape", "r2", "rmse_ratio")
    ordered = {name: sorted(score[name] for score in scores if score[name] is not None) for name in names}
    return {name: _median(values) for name, values in ordered.items()}


def _median(ordered: list[float]) -> float | None:
    count = len(ordered)
    return None if not count else (ordered[(count - 1) // 2] + ordered[count // 2]) / 2


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}"


def section(one: Document) -> str:
    """A mistake: where it is met, its code, what it did, what the audit says."""
    mistake = mistake_named(one["name"])
    found = next(finding for finding in one["findings"] if finding["fault"] in one["caught_as"])
    note = f" {one['note']}" if one["note"] else ""
    paragraphs = (
        _lines(f"{mistake.says} Met: {mistake.met}"),
        f"```python\n{mistake.change.after}\n```",
        _lines(f"in the place of `{mistake.change.stage}`. {one['sentence']}{note}"),
        _lines(f"The audit: **{found['fault']}**. {found['says']} {found['do']}"),
        _lines(f"*Exercise.* {mistake.exercise}"),
    )
    return "\n\n".join(paragraphs) + "\n"


def _lines(words: str) -> str:
    return textwrap.fill(words, 120, break_long_words=False, break_on_hyphens=False)


# --- the pictures -----------------------------------------------------------------------------------------------------


def pictures(shown: Gallery, plain: Gallery) -> None:
    """What the chapter shows: reports and lives and the autopsy of one gallery, a leak of another from close by."""
    leak = next(one for one in plain.exhibits if one.mistake.name == "same-bar")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(color_scheme="light", viewport={"width": 1100, "height": 900}, device_scale_factor=1.5)
        _open(page, Path(folder) / "gallery.html", render_gallery(shown))
        page.locator("#figure-overview").screenshot(path=FOLDER / "reported-and-live.png")
        page.locator("#autopsy .pair").screenshot(path=FOLDER / "echo.png")
        _open(page, Path(folder) / "audit.html", render_audit(leak.audit))
        page.locator("figure:has(#chart-near)").screenshot(path=FOLDER / "same-bar.png")
        browser.close()
    for picture in sorted(FOLDER.glob("*.png")):
        print(f"{picture}: {picture.stat().st_size / 1000:.0f} kB")


def _open(page: Page, path: Path, document: str) -> None:
    path.write_text(document)
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-drawn]", state="attached")


if __name__ == "__main__":
    main()
