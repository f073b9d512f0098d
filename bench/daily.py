"""Skill on the longest daily series, development years only: what the networks add to a good volatility model.

    python -m bench daily          BTC/USD, Bitstamp then Coinbase, origins of 2019-2023, refit every 90 bars

Nothing after 2023 is read. Besides the declared seeds 0..7, seeds 8..15 show how much is luck.
"""

from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import polars as pl

from coincast.clean import Cleaned, clean
from coincast.feed import Feed
from coincast.files import read
from coincast.recipe import recipes
from coincast.runs import Run, walk
from coincast.summaries import by_year
from coincast.workers import Processes

from .data import study_data

FILE = "daily/btcusd_bitstamp_coinbase_1d.csv.gz"
START, END = datetime(2019, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC)
MODELS = ("naive", "naive-conformal", "ewma-t", "garch-t", "seed-lstm", "lstm-t")


def candles_of(file: str, feed: str, end: datetime) -> Cleaned:
    """A study file's candles known by `end`."""
    cleaned = clean(read(study_data() / file), Feed.parse(feed))
    return Cleaned(cleaned.candles.until(end), cleaned.repairs)


def main() -> None:
    cleaned = candles_of(FILE, "coinbase:BTC/USD:1d", END)
    print(
        f"{cleaned.candles.feed}, {len(cleaned.candles)} bars to {END:%Y-%m-%d}, digest {cleaned.candles.digest[:16]}\n"
    )
    with TemporaryDirectory() as folder:
        began = perf_counter()
        run = walk(cleaned, FILE, recipes(MODELS), START, Path(folder) / "a", do=Processes(2))
        print(table(run))
        print(f"\n{perf_counter() - began:.0f} s in all, two processes. {run.headline}\n")
        print(years(run))
        again = recipes(["naive-conformal", "garch-t", "lstm-t"], {"seeds": tuple(range(8, 16))})
        print("\nSeeds 8..15:\n")
        print(table(walk(cleaned, FILE, again, START, Path(folder) / "b", do=Processes(2))))


def table(run: Run) -> str:
    heads = ("model", "h", "n", "CRPS", "vs garch-t", "DM t", "coverage 50 / 80 / 95", "RMSE", "verdict")
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    verdicts = {(v.model, v.horizon): v for v in run.verdicts}
    for s in sorted(run.summaries, key=lambda s: (s.horizon, s.crps)):
        verdict = verdicts[s.model, s.horizon]
        skill = s.crps_skill.get("garch-t")
        cells = (
            s.model,
            s.horizon,
            s.n,
            f"{s.crps:.6f}",
            "" if skill is None else f"{-100 * skill:+.2f} %",
            f"{verdict.comparison.t:+.2f}",
            " / ".join(f"{100 * s.coverage[band].share:.1f}" for band in s.coverage),
            f"{s.rmse:,.0f}",
            verdict.word,
        )
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def years(run: Run) -> str:
    rows = by_year(run.scores, "garch-t").filter(pl.col("model") != "garch-t").sort("model", "horizon", "year")
    years = sorted(rows["year"].unique())
    lines = ["| CRPS vs garch-t by year | h | " + " | ".join(map(str, years)) + " |", "|" + "---|" * (len(years) + 2)]
    for (model, horizon), part in rows.group_by("model", "horizon", maintain_order=True):
        values = " | ".join(f"{-100 * skill:+.2f} %" for skill in part["crps_skill"])
        lines.append(f"| {model} | {horizon} | {values} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
