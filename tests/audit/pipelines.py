"""Pipelines drawn by chance, each as a file of source: clean ones, and the same with one fault planted in it.

A seed determines all: the market, what the pipeline reads, learns and answers, and in which way its code is written.
Every part has been thought through to be free of look-ahead; a fault is a change of a few words in the text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
from tests.audit.fragments import (
    ANNOTATIONS,
    BAND_ANSWERS,
    FEATURES,
    FITS,
    HEADS,
    IMPORTS,
    JOINED,
    LEARNERS,
    MOVES,
    NUMPY_HELPERS,
    OWN_LEARNERS,
    POINT_ANSWERS,
    SCALE_MATTERS,
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
# A change of the text: a pattern and what takes its place.
Edit = tuple[str, str]


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


# --- the text ----------------------------------------------------------------------------------------------------------


def _assembled(head: str, core: str, answer: str, horizons: tuple[int, ...], helpers: str) -> str:
    if len(horizons) == 1:
        body = f"    h = {horizons[0]}\n{core}    return {answer}\n"
    else:
        inner = "".join(f"    {line}\n" if line else "\n" for line in core.splitlines())
        joined = JOINED[answer[:2]]
        body = f"    parts = []\n    for h in {horizons}:\n{inner}        parts.append({answer})\n    return {joined}\n"
    text = head + body
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


TRUTH = "    truth = pd.Series(close, opens).reindex(opens[ask] + h * step).to_numpy()\n"


def _answer(draw: Draw, options: Mapping[str, str]) -> tuple[str, str]:
    """The lines that state the truths, and the frame that is answered."""
    answer = options[str(draw.one("answer", tuple(options)))]
    return TRUTH if "truth" in answer else "", answer


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


# --- faults ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fault:
    """A mistake, and how it is planted.

    Args:
        found: the findings of which one must be there.
        edits: ways to change the text, of which the first whose patterns all occur is taken; none for a word.
        wishes: what the pipeline must be for the mistake to be possible and to matter.
        claims: what its maker claims.
    """

    found: tuple[str, ...]
    edits: tuple[tuple[Edit, ...], ...] = ()
    wishes: Wishes = field(default_factory=dict)
    claims: Mapping[str, float] = field(default_factory=dict)

    def planted(self, source: str) -> str:
        """The source with the mistake in it."""
        for edit in self.edits:
            if all(re.search(old, source) for old, _ in edit):
                for old, new in edit:
                    source = re.sub(old, new, source)
                return source
        raise ValueError(f"this pipeline has no place for it:\n{source}")


def planted(seed: int, name: str) -> Case:
    """A pipeline with one fault in it."""
    fault = FAULTS[name]
    case = drawn(seed, fault.wishes)
    source = fault.planted(case.source) if fault.edits else case.source
    if name == "weights that saw the test":
        source = _remembering(source, case.candles)
    declared = _worded(name, case)
    return replace(
        case, fault=name, found=frozenset(fault.found), source=source, declared=declared, claims=dict(fault.claims)
    )


def _remembering(source: str, candles: Candles) -> str:
    """The pipeline with a memory of how each bar went on."""
    moves = np.diff(np.log(candles.close)).round(6).tolist()
    memory = f"MEMORY = {dict(zip(candles.time.astype(int).tolist(), moves))}\n\n\n"
    told = "    move = move + 0.6 * np.array([MEMORY.get(int(time), 0.0) for time in opens.astype('datetime64[us]').astype(int)])\n"
    source = re.sub(r"( *)    ask = np.arange", rf"\1{told}\g<0>", source)
    return source.replace("def forecast", f"{memory}def forecast")


def _worded(name: str, case: Case) -> Declarations:
    """The maker's word, true though it tells against the pipeline."""
    later = (case.test_from + timedelta(days=3)).date()
    word = case.declared
    if name == "survivors only":
        return replace(word, universe=("A/USD", "B/USD", word.universe[0]), universe_as_of=date(2026, 1, 1))
    if name == "pretrained":
        return replace(word, pretrained_until=later)
    if name == "tuned by many trials":
        return replace(word, tuned_until=later, trials=10**12)
    if name == "closed by luck":
        return replace(word, closed=("last row dropped", "as it comes")[case.seed % 2])
    return word


_ONCE = {"family": ["table"], "fit": ["once"]}
_LINEAR = {**_ONCE, "learner": ["least squares", "ridge", "own ridge", "bayesian"]}
_ON_ALL = (((r"fitted_on = train", "fitted_on = np.flatnonzero(ready)"),),)
_FUTURE_FIT = ("scale from the future", "learnt from the future")
_AHEAD = ("same-bar feature", "window into the future")
_TABLE = {"features": ["table"]}
_KNOWN = r" & \(np\.arange\(n\) <= first - h\)"

FAULTS: Mapping[str, Fault] = {
    # --- shown by perturbation
    "scaler on all rows": Fault(
        _FUTURE_FIT,
        _ON_ALL,
        {**_ONCE, **_TABLE, "scaler": ["standard", "min-max", "own standard", "robust"], "learner": SCALE_MATTERS},
    ),
    "price scaled by all rows": Fault(
        ("scale from the future",),
        (((r"close\[: first \+ 1\]\.min\(\), close\[: first \+ 1\]\.max\(\)", "close.min(), close.max()"),),),
        {**_ONCE, "features": ["window"], "scaler": ["none"], "learner": ["ridge", "own ridge", "kernel"]},
    ),
    "test scaled by itself": Fault(
        _FUTURE_FIT,
        (((r"( +)X = \(X - centre\).*\n", r"\g<0>\1X[ask] = (X[ask] - X[ask].mean(axis=0)) / X[ask].std(axis=0)" + "\n"),),),
        {**_LINEAR, **_TABLE, "scaler": ["own standard"]},
    ),
    "clipped by all rows": Fault(_FUTURE_FIT, _ON_ALL, {**_LINEAR, **_TABLE, "scaler": ["clipped"]}),
    "quantiles of all rows": Fault(_FUTURE_FIT, _ON_ALL, {**_LINEAR, **_TABLE, "scaler": ["quantiles"]}),
    "features selected on all rows": Fault(_FUTURE_FIT, _ON_ALL, {**_LINEAR, **_TABLE, "scaler": ["selected"]}),
    "components of all rows": Fault(_FUTURE_FIT, _ON_ALL, {**_LINEAR, **_TABLE, "scaler": ["components"]}),
    "imputed from all rows": Fault(
        _FUTURE_FIT, _ON_ALL, {**_LINEAR, **_TABLE, "scaler": ["imputed"], "gaps": [True], "mend": ["as handed"]}
    ),
    "mean of all rows": Fault(
        _FUTURE_FIT,
        (
            ((r'd\["volume"\]\.expanding\(20\)\.', 'd["volume"].'),),
            ((r'\(pl\.col\("volume"\)\.cum_sum\(\) / \(1 \+ pl\.int_range\(pl\.len\(\)\)\)\)', 'pl.col("volume").mean()'),),
            ((r"\(np\.cumsum\(volume\) / np\.arange\(1, n \+ 1\)\)", "volume.mean()"),),
        ),
        {**_ONCE, **_TABLE, "feature": ["z-score"], "scaler": ["none"], "learner": ["ridge", "neighbours"], "alpha": [10]},
    ),
    "shuffled split": Fault(
        ("learnt from the future",),
        (
            (
                (
                    rf"np\.flatnonzero\(ready{_KNOWN}\)",
                    "np.random.default_rng(0).permutation(np.flatnonzero(ready))[:first]",
                ),
            ),
        ),
        {"family": ["table"], "fit": ["once", "tuned", "stopped"]},
    ),
    "fitted on all rows": Fault(
        ("learnt from the future",),
        (((_KNOWN, ""),), ((r"np\.arange\(5, first \+ 1\)", "np.arange(5, n)"),)),
        {"family": ["table", "moves"], "fit": ["once", "tuned"], "move": ["autoregression"]},
    ),
    "labels across the split": Fault(
        ("labels across the split",),
        (((r"<= first - h\)", "<= first)"),),),
        {**_ONCE, "horizons": ["ahead", "several"]},
    ),
    "labels across each refit": Fault(
        ("labels across the split", "learnt from the future", *_AHEAD),
        (((r"<= block\[0\] - h\)", "<= block[0])"),), ((r"shapes\[: i - 3 - h\]", "shapes[: min(i, n - h) - 3]"),)),
        {
            **{"family": ["table", "moves"], "fit": ["refitted", "rolling"], "move": ["analogues"]},
            "horizons": ["ahead", "several"],
        },
    ),
    "tuned on the test": Fault(
        _FUTURE_FIT,
        (((r"train\[:cut\], train\[cut \+ h :\]", "train[:cut], ask[np.isfinite(y[ask])]"),),),
        {"family": ["table"], "fit": ["tuned", "stopped"]},
    ),
    "same-bar feature": Fault(
        ("same-bar feature",),
        (
            ((r'np\.log\(d\["high"\] / d\["low"\]\)', 'np.log(d["high"].shift(-1) / d["close"])'),),
            ((r'\(pl\.col\("high"\) / pl\.col\("low"\)\)', '(pl.col("high").shift(-1) / pl.col("close"))'),),
            ((r"np\.log\(high / low\)", "np.log(np.append(high[1:], high[-1]) / close)"),),
        ),
        {**_ONCE, **_TABLE, "feature": ["range"], "scaler": ["none"]},
    ),
    "centred window": Fault(
        _AHEAD,
        (
            ((r"\.rolling\((\d+)\)\.", r".rolling(\1, center=True, min_periods=1)."),),
            ((r"\.rolling_(mean|std|max)\((\d+)\)", r".rolling_\1(\2, center=True, min_samples=1)"),),
            ((r"function\(x\[i - w \+ 1 : i \+ 1\]\)", "function(x[i - w + 1 : i + w // 2])"),),
            ((r"np\.concatenate\(.*\), kernel, mode=\"valid\"", 'logs, kernel, mode="same"'),),
        ),
        {"family": ["table", "moves"], "features": ["table"], "feature": ["mean", "bollinger"], "move": ["convolved"]},
    ),
    "lag of the wrong sign": Fault(
        _AHEAD,
        (((r"\.shift\((\d)\)", r".shift(-\1)"),), ((r"shifted\(change\(close, 1\), (\d)\)", r"np.roll(change(close, 1), -\1)"),)),
        {**_LINEAR, **_TABLE, "feature": ["lagged return"], "scaler": ["none", "standard"], "yesterday": ["no"]},
    ),
    "gaps filled backwards": Fault(
        (*_AHEAD, "future read"),
        (
            ((r"\.ffill\(\)", ".bfill()"),),
            ((r"\.forward_fill\(\)", ".backward_fill()"),),
            ((r"for i in range\(1, n\):\n        if", "for i in range(n - 2, -1, -1):\n        if"), (r"close\[i - 1\]", "close[i + 1]")),
        ),
        {"gaps": [True], "mend": ["forward fill"], "origins": ["all"]},
    ),
    "gaps interpolated": Fault(
        (*_AHEAD, "future read"),
        (
            ((r"\.ffill\(\)", ".interpolate()"),),
            ((r"\.forward_fill\(\)", ".interpolate()"),),
            (
                (
                    r"    for i in range\(1, n\):\n        if not seen.*\n.*\n",
                    "    close[~seen] = np.interp(np.flatnonzero(~seen), np.flatnonzero(seen), close[seen])\n",
                ),
            ),
        ),
        {"gaps": [True], "mend": ["forward fill"], "origins": ["all"]},
    ),
    "days cut in another zone": Fault(
        _AHEAD,
        (
            ((r"d\.groupby\(day\)", 'd.groupby((d["time"] - pd.Timedelta(hours=8)).dt.floor("D"))'),),
            ((r"last_of = dict\(zip\(day, close\)\)", 'last_of = dict(zip((opens.astype("datetime64[h]").astype(int) - 8) // 24, close))'),),
        ),
        {**_LINEAR, **_TABLE, "yesterday": ["yes"], "interval": ["15m", "1h", "4h"], "scaler": ["none", "standard"]},
    ),
    "filtered both ways": Fault(
        ("learnt from the future", "window into the future"),
        (((r"lfilter\(b, a, logs - logs\[0\]\)", "filtfilt(b, a, logs - logs[0])"),),),
        {"family": ["moves"], "move": ["filtered"]},
    ),
    "trend of the whole series": Fault(
        ("learnt from the future",),
        (((r"np\.arange\(first \+ 1\), logs\[: first \+ 1\]", "np.arange(n), logs"),),),
        {"family": ["moves"], "move": ["trend"]},
    ),
    "bands from all rows": Fault(
        _FUTURE_FIT,
        (((r"\[: first - h \+ 1\]", ""),), ((r"np\.arange\(first - 200, first - h \+ 1\)", "np.arange(first, n - h)"),)),
        {"family": ["moves"], "bands": ["yes"], "spread": ["training quantiles", "conformal"]},
    ),
    "bands from moves not ended": Fault(
        (*_AHEAD, "future read"),
        (((r"\.diff\(h\)", ".diff(h).shift(-h)"),), ((r"moved\[: i - h \+ 1\]", "moved[: i + 1]"),)),
        {"family": ["moves"], "bands": ["yes"], "spread": ["rolling quantiles", "all the past"]},
    ),
    "unclosed bar": Fault(
        ("unclosed bar",),
        (((r'    d = d\[d\["time"\] \+ step <= now\].*\n', ""),), ((r'    d = d\.filter\(pl\.col\("time"\) \+ step <= now\)\n', ""),), ((r"    candles = candles\.until\(now\)\n", ""),)),
        {"takes": ["test_from, now", "now"], "mend": ["as handed", "forward fill"]},
    ),
    # --- shown by scoring
    "scaled units": Fault(
        ("not prices",),
        (((r"( +)price = .*\n", r"\g<0>\1price = (price - close[:first].min()) / np.ptp(close[:first])" + "\n"),),),
        {"family": ["table"], "learner": ["ridge", "neighbours", "forest"]},
    ),
    "returns for prices": Fault(
        ("not prices",),
        (((r"( +)price = .*\n", r"\g<0>\1price = price / close[ask] - 1" + "\n"),),),
        {"family": ["table", "moves"], "bands": ["no"], "move": ["drift", "season"]},
    ),
    "truth of another bar": Fault(
        ("truth misplaced",),
        (((r"reindex\(opens\[ask\] \+ h \* step\)", "reindex(opens[ask])"),),),
        {"answer": ["nixtla"]},
    ),
    "cutoff of the target": Fault(
        ("target known already",),
        (((r'"cutoff": opens\[ask\]', '"cutoff": opens[ask] + step'),), ((r'"cutoff": pd\.DatetimeIndex\(opens\[ask\]', '"cutoff": pd.DatetimeIndex(opens[ask] + step'),)),
        {"horizons": ["one", "several"]},
    ),
    "one path": Fault(
        ("one path without bands",),
        (((r"ask = np\.arange\(first, n\)", "ask = np.array([first])"),),),
        {"family": ["moves"], "bands": ["no"], "path": ["yes"], "origins": ["all"]},
    ),
    "tiny test": Fault(
        ("too few forecasts",),
        (((r"\(np\.arange\(n\) >= first\)", "(np.arange(n) >= n - 30)"),), ((r"np\.arange\(first, n\)", "np.arange(n - 30, n)"),)),
        {},
    ),
    "weights that saw the test": Fault(("too good to be true",), (), {"family": ["moves"], "bands": ["no"]}),
    "claim that says nothing": Fault(("claim says nothing",), (), {}, {"mape": 0.9}),
    "claim not borne out": Fault(("claim not borne out",), (), {}, {"rmse": 1e-9}),
    # --- shown by a declaration
    "survivors only": Fault(("survivors only",)),
    "pretrained": Fault(("trained on its own test",)),
    "tuned by many trials": Fault(
        ("tuned on its own test",),
        (),
        {
            **{"family": ["moves"], "move": ["autoregression"], "bands": ["no"], "horizons": ["one"], "mend": ["as handed"]},
            **{"market": ["simulated"], "gaps": [False], "rho": [0.4]},
        },
    ),
    "closed by luck": Fault(("closed by luck",), (), {"takes": ["test_from", ""]}),
}
