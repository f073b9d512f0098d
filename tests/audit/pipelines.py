"""Pipelines drawn by chance, each as a file of source: clean ones, and the same with one fault planted in it.

A seed determines all: the market, what the pipeline reads, learns and answers, and in which way its code is written.
Every part has been thought through to be free of look-ahead; a fault is a change of a few words in the text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
from tests.audit.fragments import (
    ANNOTATIONS,
    BAND_ANSWERS,
    FEATURES,
    FITS,
    HEADS,
    IMPORTS,
    IN_UTC,
    JOINED,
    LEARNERS,
    MOVES,
    NUMPY_HELPERS,
    OWN_LEARNERS,
    POINT_ANSWERS,
    SCALERS,
    SPREADS,
    TABLE_ROWS,
    TABLES,
    TARGETS,
    WINDOW,
    YESTERDAY,
)
from tests.audit.markets import LONGEST, SHORTEST, real, simulated

from coincast.audit import Audit, Declarations, Pipeline, audit
from coincast.candles import Candles
from coincast.feed import from_numpy

Wishes = Mapping[str, Sequence[object]]


class Draw:
    """Choices by chance, among those that are wished for if any are; and a record of them."""

    def __init__(self, seed: int, wishes: Wishes) -> None:
        self.random = np.random.default_rng(seed)
        self.wishes = wishes
        self.made: dict[str, str] = {}

    def one(self, what: str, options: Sequence[object]) -> object:
        allowed = [option for option in options if option in self.wishes.get(what, options)]
        if not allowed:
            raise ValueError(f"no {what} among {options} is one of {self.wishes[what]}")
        choice = allowed[int(self.random.integers(len(allowed)))]
        self.made[what] = str(choice)
        return choice

    def some(self, low: int, high: int) -> int:
        return int(self.random.integers(low, high))


@dataclass(frozen=True)
class Case:
    """An audit to make.

    Args:
        seed: what it was drawn from.
        fault: what was planted; "" for nothing.
        found: the findings of which one must be there; empty for a clean pipeline.
        source: the pipeline's file.
        candles: what it is asked about.
        test_from: from when on.
        declared: its maker's word.
        claims: what its maker claims.
        made: the choices, by name.
    """

    seed: int
    fault: str
    found: frozenset[str]
    source: str
    candles: Candles
    test_from: datetime
    declared: Declarations
    claims: Mapping[str, float] = field(default_factory=dict)
    made: Mapping[str, str] = field(default_factory=dict)

    def audit(self, folder: Path, timeout: float = 60.0) -> Audit:
        """Write the pipeline into a folder and audit it there."""
        file = folder / f"{self.fault.replace(' ', '_').replace('-', '_') or 'clean'}_{self.seed}.py"
        file.write_text(self.source)
        pipeline = Pipeline.load(f"{file}:forecast").with_word(self.declared, self.claims)
        return audit(pipeline, self.candles, test_from=self.test_from, timeout=timeout, processes=1)


def drawn(seed: int, wishes: Wishes | None = None) -> Case:
    """A clean pipeline."""
    draw = Draw(seed, wishes or {})
    interval = str(draw.one("interval", ("15m", "1h", "4h", "1d", "1d")))
    gaps = bool(draw.one("gaps", (False, False, True)))
    candles = _market(draw, interval, gaps=gaps)
    source = _table(draw) if draw.one("family", ("table", "table", "moves")) == "table" else _moves(draw)
    test_from = from_numpy(candles.known_at[round(0.7 * len(candles)) - draw.some(0, 20)])
    declared = Declarations(
        universe=(candles.feed.symbol,),
        pretrained_until="never",
        tuned_until="never",
        trials=1,
        seeds=1,
        closed="by time" if "now):" in source else "handed closed",
    )
    return Case(seed, "", frozenset(), source, candles, test_from, declared, made=draw.made)


def _market(draw: Draw, interval: str, *, gaps: bool) -> Candles:
    bars = draw.some(SHORTEST, LONGEST)
    if not gaps and draw.one("market", ("simulated", "simulated", "real")) == "real":
        found = real(draw.random, interval, bars=bars)
        if found is not None:
            return found
    rho = draw.wishes.get("rho")
    return simulated(draw.random, interval, gaps=gaps, bars=bars, rho=float(str(rho[0])) if rho else None)


# --- the text ---------------------------------------------------------------------------------------------------------


def _assembled(head: str, core: str, answer: str, horizons: tuple[int, ...], helpers: str) -> str:
    if len(horizons) == 1:
        body = f"    h = {horizons[0]}\n{core}    return {answer}\n"
    else:
        inner = "".join(f"    {line}\n" if line else "\n" for line in core.splitlines())
        joined = JOINED[answer[:2]]
        body = f"    parts = []\n    for h in {horizons}:\n{inner}        parts.append({answer})\n    return {joined}\n"
    text = head + body
    helpers += IN_UTC if "in_utc" in text else ""
    classes = "\n\n".join(code for name, code in OWN_LEARNERS.items() if f"{name}(" in text)
    parts = [part for part in (helpers, classes, text) if part]
    used = sorted({line for token, line in IMPORTS.items() if any(token in part for part in parts)})
    return "\n\n\n".join(["\n".join(["import numpy as np", *used]), *(part.strip("\n") for part in parts)]) + "\n"


def _head(draw: Draw, options: Sequence[str]) -> tuple[str, str]:
    """The function's first lines, and in which form it reads the candles."""
    form = str(draw.one("form", options))
    template, lines = HEADS[form]
    takes = str(draw.one("takes", ("test_from", "test_from", "test_from, now", "now", "")))
    mends = [name for name in ("as handed", "forward fill", "dropped") if name in ("as handed", *lines)]
    mend = str(draw.one("mend", mends))
    split = lines["split"] if "test_from" in takes else "    first = int(0.8 * n)\n"
    if "test_from" not in takes:
        split = split.replace("0.8", str(draw.one("share", ("0.6", "0.65", "0.7"))))
    filled = template.format(now=lines["now"] if "now" in takes else "", mend=lines.get(mend, ""), split=split)
    named = f"candles{ANNOTATIONS[form]}" + "".join(f", {name}" for name in takes.split(", ") if name)
    return f"def forecast({named}):\n{filled}", form


def _horizons(draw: Draw) -> tuple[int, ...]:
    several = draw.one("horizons", ("one", "one", "ahead", "several"))
    if several == "one":
        return (1,)
    return (draw.some(2, 9),) if several == "ahead" else tuple(sorted({1, draw.some(2, 5), draw.some(5, 9)}))


def _origins(draw: Draw) -> str:
    return "    ask = ask[seen[ask]]\n" if draw.one("origins", ("all", "observed")) == "observed" else ""


LABELS = "    ds, cutoff = opens[ask] + h * step, opens[ask]\n"
TRUTH = "    truth = pd.Series(close, opens).reindex(ds).to_numpy()\n"


def _answer(draw: Draw, options: Mapping[str, str]) -> tuple[str, str]:
    """The lines that label the rows and state their truths, and the frame that is answered."""
    answer = options[str(draw.one("answer", tuple(options)))]
    return LABELS + (TRUTH if "truth" in answer else ""), answer


def _table(draw: Draw) -> str:
    """Features, a model, a forecast."""
    head, form = _head(draw, ("pandas", "pandas", "polars", "candles"))
    horizons = _horizons(draw)
    window = draw.one("features", ("table", "table", "window")) == "window"
    target = str(draw.one("target", ("scaled level",) if window else ("return", "log-return", "difference", "level")))
    made, helpers = (WINDOW.format(w=draw.some(5, 30)), "") if window else _features(draw, form)
    if not window and draw.one("yesterday", ("no", "no", "no", "yes")) == "yes":
        made += YESTERDAY["pandas" if form == "pandas" else "numpy"]
    scaler = str(draw.one("scaler", ("none", "none", *SCALERS)))
    fit = FITS[str(draw.one("fit", ("once", "once", "once", *FITS)))]
    learner = LEARNERS[str(draw.one("learner", tuple(LEARNERS)))]
    learner = learner.format(alpha=draw.one("alpha", (0.01, 0.1, 1, 10)), k=draw.some(3, 15))
    truths, price = TARGETS[target]
    told, answer = _answer(draw, POINT_ANSWERS)
    core = f"""\
{made}    y = np.full(n, np.nan)
    y[:-h] = {truths}
    ready = np.isfinite(X).all(axis=1) & np.isfinite(y)
    train = np.flatnonzero(ready & (np.arange(n) <= first - h))
    ask = np.flatnonzero(np.isfinite(X).all(axis=1) & (np.arange(n) >= first))
{_origins(draw)}    fitted_on = train
{SCALERS[scaler]}{fit.format(learner=learner, every=draw.some(40, 200))}    price = {price}
{told}"""
    return _assembled(head, core, answer, horizons, helpers)


def _features(draw: Draw, form: str) -> tuple[str, str]:
    """The lines that make `X`, and the functions they need."""
    written = str(draw.one("written", ("numpy",) if form == "candles" else (form, form, "numpy")))
    texts = FEATURES[written]
    wished = [str(name) for name in draw.wishes.get("feature", ())]
    others = [name for name in texts if name not in wished]
    names = wished + draw.random.choice(others, draw.some(4, 8), replace=False).tolist()
    draw.made["feature"] = ", ".join(names)
    rows = []
    for number, name in enumerate(names):
        text = texts[name].format(k=draw.some(1, 6), w=draw.some(5, 30))
        rows.append(TABLE_ROWS[written].format(name=f"f{number}", text=text))
    return TABLES[written].format(rows="\n".join(rows)), NUMPY_HELPERS if written == "numpy" else ""


def _moves(draw: Draw) -> str:
    """A move expected by a rule, with a band around it or without."""
    head, _ = _head(draw, ("pandas", "polars", "candles"))
    horizons = tuple(range(1, 31)) if "path" in draw.wishes else _horizons(draw)
    move = MOVES[str(draw.one("move", tuple(MOVES)))]
    numbers = {"w": draw.some(5, 40), "k": draw.some(3, 12), "season": draw.one("season", (7, 24, 168))}
    core = "    logs = np.log(close)\n" + move.format(**numbers, alpha=draw.one("alpha", (0.02, 0.1, 0.3)))
    core += "    ask = np.arange(first, n)\n" + _origins(draw)
    core += "    ask = ask[np.isfinite(move[ask])]\n    price = close[ask] * np.exp(move[ask])\n"
    if draw.one("bands", ("yes", "no")) == "no":
        told, answer = _answer(draw, POINT_ANSWERS)
        return _assembled(head, core + told, answer, horizons, "")
    core += SPREADS[str(draw.one("spread", tuple(SPREADS)))]
    core += "    at = {level: price * np.exp(spread[level]) for level in LEVELS}\n"
    told, answer = _answer(draw, BAND_ANSWERS)
    return _assembled(head, core + told, answer, horizons, "LEVELS = (0.1, 0.9)\n")
