"""Questions about the way on the development years: touching a price, drawdowns; what ordering by past ranks adds.

    python -m bench paths        BTC/USD by days, origins of 2019-2023, har-t and garch-t at horizons 1 .. 14

Nothing after 2023 is read. Brier scores are compared with those of past ranks, standardised, by a Diebold-Mariano test;
a negative t is better than they are.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from coincast.backtest import Walk, backtest
from coincast.candles import Candles
from coincast.feed import to_numpy
from coincast.forecast import Forecast
from coincast.models.garch import PERCENT
from coincast.path_scores import Drawdown, Question, Touch, reliability, score_extremes, score_question
from coincast.paths import Paths, past, reorder, shuffle, trajectories
from coincast.recipe import recipes
from coincast.truth import judged_rows
from coincast.verdict import diebold_mariano

from .daily import END, FILE, candles_of

START = datetime(2019, 1, 1, tzinfo=UTC)
BARS = 14
SIMULATED = 1000
QUESTIONS = (
    *(Touch(move, within) for within in (7, 14) for move in (0.05, -0.05, 0.1, -0.1)),
    *(Touch(move, within, anywhere=True) for within in (7, 14) for move in (0.1, -0.1)),
    Drawdown(0.1, BARS),
)
ROWS = ("past ranks, standardised", "past ranks, raw", "no order", "Gaussian walk", "reflection principle")


def main() -> None:
    candles = candles_of(FILE, "coinbase:BTC/USD:1d", END).candles
    print(f"{candles.feed}, {len(candles)} bars to {END:%Y-%m-%d}, digest {candles.digest[:16]}\n")
    for name in ("har-t", "garch-t"):
        [walk] = backtest(recipes([name], {"horizons": tuple(range(1, BARS + 1))}), candles, START)
        print(table(name, dict(made(walk, candles)), walk.forecast, candles), flush=True)


def made(walk: Walk, candles: Candles) -> Iterator[tuple[str, Paths]]:
    """The same marginals in several orders; of garch-t also the paths that it simulates itself."""
    forecast, rng = walk.forecast, np.random.default_rng(0)
    yield ROWS[0], shuffle(forecast, candles)
    raw = trajectories(candles, BARS, np.ones(len(candles)))
    rows = judged_rows(forecast, candles)
    yield (
        ROWS[1],
        _paths(
            forecast,
            np.stack([reorder(v, past(raw, row, candles)) for v, row in zip(forecast.values, rows, strict=True)]),
        ),
    )
    yield ROWS[2], _paths(forecast, rng.permuted(forecast.values, axis=2).transpose(0, 2, 1).copy())
    steps = np.diff(spread(forecast.values) ** 2, axis=1, prepend=0.0)
    shocks = rng.standard_normal((len(forecast), SIMULATED, BARS)) * np.sqrt(np.maximum(steps, 0.0))[:, None, :]
    yield ROWS[3], _paths(forecast, np.cumsum(shocks, axis=2))
    if forecast.model == "garch-t":
        yield "simulated by garch-t", _paths(forecast, simulated(walk, candles))


def simulated(walk: Walk, candles: Candles) -> np.ndarray:
    """The first paths behind garch-t's own quantiles."""
    windows = walk.recipe.windows(candles)
    model, parts = walk.recipe.forecaster, []
    for fitted in walk.fitted:
        origins = walk.forecast.origin[walk.forecast.cutoff == to_numpy(fitted.cutoff)]
        p = {name: float(value) for name, value in fitted.state.items()}
        chosen = windows.newest(len(windows)).between(fitted.cutoff, END + timedelta(days=1))
        inside = chosen.x[np.isin(chosen.origin, origins), :, 0]
        draws = model.draws(p, BARS)[:, :: model.simulations // SIMULATED]
        sums = list(model.sums(p, model.next_variance(p, PERCENT * inside), draws))
        parts.append(np.stack(sums, axis=2) / PERCENT)
    return np.concatenate(parts)


def table(name: str, rivals: dict[str, Paths], forecast: Forecast, candles: Candles) -> str:
    lines = [f"{name}: Brier score (mean probability); DM t against the first row", ""]
    heads = ("question", "happened", *rivals, *ROWS[4:])
    lines += ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for question in QUESTIONS:
        rows = [score_question(paths, candles, question) for paths in rivals.values()]
        if isinstance(question, Touch):
            rows.append(reflected(forecast, question, rows[0]))
        lines.append(_line(question, rows))
    extremes = [score_extremes(paths, candles, BARS) for paths in rivals.values()]
    for score in ("drawdown_crps", "maximum_crps"):
        lines.append(f"| {score} | | " + " | ".join(f"{rows[score].mean():.5f}" for rows in extremes) + " | |")
    return "\n".join([*lines, "", *_reliable(next(iter(rivals.values())), candles)])


def reflected(forecast: Forecast, question: Touch, rows: pl.DataFrame) -> pl.DataFrame:
    """Twice the chance to end beyond the level; of closes alone, beyond one that lies 0.5826 volatilities further
    (Broadie, Glasserman and Kou 1997).
    """
    values = forecast.values[: len(rows), question.within - 1]
    further = (not question.anywhere) * 0.5826 * spread(values) / np.sqrt(question.within)
    side = np.sign(question.move)
    beyond = side * values >= (side * np.log1p(question.move) + further)[:, None]
    said = pl.Series("probability", np.minimum(2 * beyond.mean(axis=1), 1.0))
    return rows.with_columns(said).with_columns(brier=(pl.col("probability") - pl.col("happened")) ** 2)


def spread(values: np.ndarray) -> np.ndarray:
    """Standard deviation of the normal law with the same mean absolute move: a few wild values do not raise it much."""
    return np.abs(values).mean(axis=-1) * np.sqrt(np.pi / 2)


def _line(question: Question, rows: list[pl.DataFrame]) -> str:
    first = rows[0]["brier"].to_numpy()
    cells = [f"{rows[0]['brier'].mean():.4f} ({rows[0]['probability'].mean():.3f})"]
    for other in rows[1:]:
        t = diebold_mariano(other["brier"].to_numpy(), first, BARS).t
        cells.append(f"{other['brier'].mean():.4f} ({other['probability'].mean():.3f}); {t:+.1f}")
    cells += [] if isinstance(question, Touch) else [""]
    return f"| {question.words} | {rows[0]['happened'].mean():.3f} | " + " | ".join(cells) + " |"


def _reliable(paths: Paths, candles: Candles) -> Iterator[str]:
    scored = pl.concat([score_question(paths, candles, q) for q in QUESTIONS if isinstance(q, Touch)])
    yield "| touches called | said | happened | n |\n|---|---|---|---|"
    for low, n, said, happened in reliability(scored).iter_rows():
        yield f"| {low:.1f}-{low + 0.1:.1f} | {said:.3f} | {happened:.3f} | {n:,} |"
    yield ""


def _paths(forecast: Forecast, values: np.ndarray) -> Paths:
    return Paths(forecast.feed, forecast.model, forecast.origin, forecast.price, values)


if __name__ == "__main__":
    main()
