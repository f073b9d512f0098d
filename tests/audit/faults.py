"""What can be planted in a pipeline: a few words of its text changed, or its maker's own word against it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

import numpy as np
from tests.audit.fragments import SCALE_MATTERS
from tests.audit.pipelines import Case, Wishes, drawn

from coincast.audit import Declarations, Pipeline
from coincast.audit.comparison import SAME, differences
from coincast.audit.interview import Interview
from coincast.candles import Candles
from coincast.sandbox import Question

# A mistake that moves fewer of the forecasts is rare: it may lie between the cuts.
RARE = 0.1
# A change of the text: a pattern and what takes its place.
Edit = tuple[str, str]


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


def moved(case: Case, folder: Path) -> float:
    """The share of a pipeline's forecasts that the mistake in it moved.

    One that moves next to none cannot be seen, and does no harm: a network of splits does not care for a price that is
    filled in from the wrong side, and heavy smoothing hardly for a single bar.
    """
    sound = drawn(case.seed, FAULTS[case.fault].wishes)
    answers = []
    for number, source in enumerate((case.source, sound.source)):
        file = folder / f"pipeline_{number}.py"
        file.write_text(source)
        with closing(Interview(Pipeline.load(f"{file}:forecast"), 60.0, 1)) as interview:
            question = Question(case.candles, case.test_from, case.candles.end)
            answers += interview.ask([question], "both")
    planted, clean = (answer.predictions for answer in answers)
    if not planted or not clean:
        return 1.0
    shares = differences(planted, clean)["moved"].to_numpy()
    return float((shares > SAME).mean()) if len(shares) else 1.0


def _remembering(source: str, candles: Candles) -> str:
    """The pipeline with a memory of how each bar went on."""
    moves = np.diff(np.log(candles.close)).round(6).tolist()
    memory = dict(zip(candles.time[:-1].astype(int).tolist(), moves, strict=True))
    told = "told = [MEMORY.get(int(time), 0.0) for time in opens.astype('datetime64[us]').astype(int)]"
    source = re.sub(r"( +)ask = np.arange", rf"\1{told}\n\1move = move + 0.6 * np.array(told)\n\g<0>", source)
    return source.replace("def forecast", f"MEMORY = {memory}\n\n\ndef forecast")


def _worded(name: str, case: Case) -> Declarations:
    """The maker's word, true though it tells against the pipeline."""
    later = case.candles.end.date()
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
_TABLE = {**_ONCE, "features": ["table"]}
_LINEAR = {**_TABLE, "learner": ["least squares", "ridge", "own ridge", "bayesian"]}
_MOVES = {"family": ["moves"]}
_POINTS = {**_MOVES, "bands": ["no"]}
_HOURS = {**_LINEAR, "yesterday": ["yes"], "interval": ["15m", "1h", "4h"], "scaler": ["none", "standard"]}
_FILLED = {"gaps": [True], "mend": ["forward fill"], "origins": ["all"]}
_ON_ALL = (((r"fitted_on = train", "fitted_on = np.flatnonzero(ready)"),),)
_KNOWN = r" & \(np\.arange\(n\) <= first - h\)"
_FUTURE_FIT = ("scale from the future", "learnt from the future")
_AHEAD = ("same-bar feature", "window into the future")

_PERTURBED: Mapping[str, Fault] = {
    "scaler on all rows": Fault(
        _FUTURE_FIT,
        _ON_ALL,
        {**_TABLE, "scaler": ["standard", "min-max", "own standard", "robust"], "learner": SCALE_MATTERS},
    ),
    "price scaled by all rows": Fault(
        ("scale from the future",),
        (((r"close\[: first \+ 1\]\.min\(\), close\[: first \+ 1\]\.max\(\)", "close.min(), close.max()"),),),
        {**_ONCE, "features": ["window"], "scaler": ["none"], "learner": ["ridge", "own ridge", "kernel"]},
    ),
    "test scaled by itself": Fault(
        _FUTURE_FIT,
        (((r"( +)X = \(X - centre\).*\n", r"\g<0>\1X[ask] = (X[ask] - X[ask].mean(axis=0)) / X[ask].std(axis=0)\n"),),),
        {**_LINEAR, "scaler": ["own standard"]},
    ),
    "clipped by all rows": Fault(_FUTURE_FIT, _ON_ALL, {**_LINEAR, "scaler": ["clipped"]}),
    "quantiles of all rows": Fault(_FUTURE_FIT, _ON_ALL, {**_LINEAR, "scaler": ["quantiles"]}),
    "features selected on all rows": Fault(_FUTURE_FIT, _ON_ALL, {**_LINEAR, "scaler": ["selected"]}),
    "components of all rows": Fault(_FUTURE_FIT, _ON_ALL, {**_LINEAR, "scaler": ["components"]}),
    "imputed from all rows": Fault(
        _FUTURE_FIT, _ON_ALL, {**_LINEAR, "scaler": ["imputed"], "gaps": [True], "mend": ["as handed"]}
    ),
    "mean of all rows": Fault(
        _FUTURE_FIT,
        (
            ((r'd\["volume"\]\.expanding\(20\)\.', 'd["volume"].'),),
            ((r'\(pl\.col\("volume"\)\.cum_sum.*len\(\)\)\)\)', 'pl.col("volume").mean()'),),
            ((r"\(np\.cumsum\(volume\) / np\.arange\(1, n \+ 1\)\)", "volume.mean()"),),
        ),
        {**_TABLE, "feature": ["z-score"], "scaler": ["none"], "learner": ["ridge", "neighbours"], "alpha": [10]},
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
        {"fit": ["once", "tuned"], "move": ["autoregression"]},
    ),
    "labels across the split": Fault(
        ("labels across the split",),
        (((r"<= first - h\)", "<= first)"),),),
        {**_ONCE, "horizons": ["ahead", "several"]},
    ),
    "labels across each refit": Fault(
        ("labels across the split", "learnt from the future", *_AHEAD),
        (((r"<= block\[0\] - h\)", "<= block[0])"),), ((r"shapes\[: i - 3 - h\]", "shapes[: min(i, n - h) - 3]"),)),
        {"fit": ["refitted", "rolling"], "move": ["analogues"], "horizons": ["ahead", "several"]},
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
        {**_TABLE, "feature": ["range"], "scaler": ["none"]},
    ),
    "centred window": Fault(
        _AHEAD,
        (
            ((r"\.rolling\((\d+)\)\.", r".rolling(\1, center=True, min_periods=1)."),),
            ((r"\.rolling_(mean|std|max)\((\d+)\)", r".rolling_\1(\2, center=True, min_samples=1)"),),
            ((r"function\(x\[i - w \+ 1 : i \+ 1\]\)", "function(x[i - w + 1 : i + w // 2])"),),
            ((r"np\.concatenate\(.*\), kernel, mode=\"valid\"", 'logs, kernel, mode="same"'),),
        ),
        {"features": ["table"], "feature": ["mean", "bollinger"], "move": ["convolved"]},
    ),
    "lag of the wrong sign": Fault(
        _AHEAD,
        (
            ((r"\.shift\((\d)\)", r".shift(-\1)"),),
            ((r"shifted\(change\(close, 1\), (\d)\)", r"np.roll(change(close, 1), -\1)"),),
        ),
        {**_LINEAR, "feature": ["lagged return"], "scaler": ["none", "standard"], "yesterday": ["no"]},
    ),
    "gaps filled backwards": Fault(
        (*_AHEAD, "future read"),
        (
            ((r"\.ffill\(\)", ".bfill()"),),
            ((r"\.forward_fill\(\)", ".backward_fill()"),),
            (
                (r"for i in range\(1, n\):\n        if not", "for i in range(n - 2, -1, -1):\n        if not"),
                (r"close\[i\] = close\[i - 1\]", "close[i] = close[i + 1]"),
            ),
        ),
        _FILLED,
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
        _FILLED,
    ),
    "spikes mended by the next bar": Fault(
        (*_AHEAD, "future read"),
        (
            (
                (
                    r"( +)logs = np\.log\(close\)\n",
                    r"\g<0>\1moved = np.abs(np.diff(logs, prepend=logs[0]))\n"
                    r"\1wild = np.flatnonzero(moved[:-1] > np.quantile(moved[:first], 0.95))\n"
                    r"\1logs[wild] = (logs[wild - 1] + logs[wild + 1]) / 2\n",
                ),
            ),
        ),
        {**_MOVES, "move": ["drift", "smoothed", "reversion", "convolved", "holt"], "origins": ["all"]},
    ),
    "days cut in another zone": Fault(
        _AHEAD,
        (
            ((r"d\.groupby\(day\)", 'd.groupby((d["time"] - pd.Timedelta(hours=8)).dt.floor("D"))'),),
            ((r"zip\(day, close\)\)", 'zip((opens.astype("datetime64[h]").astype(int) - 8) // 24, close))'),),
        ),
        _HOURS,
    ),
    "a day's close before its end": Fault(
        # The last rows of training read the rest of the day that was cut, so that the fit changes too.
        (*_AHEAD, "learnt from the future"),
        (
            ((r'\["close"\]\.last\(\)\.shift\(1\)', '["close"].last()'),),
            ((r"last_of\.get\(now - 1,", "last_of.get(now,"),),
        ),
        _HOURS,
    ),
    "filtered both ways": Fault(
        ("learnt from the future", "window into the future"),
        (((r"lfilter\(b, a, logs", "filtfilt(b, a, logs"),),),
        {**_MOVES, "move": ["filtered"]},
    ),
    "trend of the whole series": Fault(
        ("learnt from the future",),
        (((r"np\.arange\(first \+ 1\), logs\[: first \+ 1\]", "np.arange(n), logs"),),),
        {**_MOVES, "move": ["trend"]},
    ),
    "bands from all rows": Fault(
        _FUTURE_FIT,
        (
            ((r"\[: first - h \+ 1\]", ""),),
            ((r"np\.arange\(first - 200, first - h \+ 1\)", "np.arange(first, n - h)"),),
        ),
        {**_MOVES, "bands": ["yes"], "spread": ["training quantiles", "conformal"]},
    ),
    "bands from moves not ended": Fault(
        (*_AHEAD, "future read"),
        (((r"\.diff\(h\)", ".diff(h).shift(-h)"),), ((r"moved\[: i - h \+ 1\]", "moved[: i + 1]"),)),
        {**_MOVES, "bands": ["yes"], "spread": ["rolling quantiles", "all the past"]},
    ),
    "large moves left out": Fault(
        ("left out by outcome",),
        (
            (
                (
                    r"( +)price = ",
                    r"\1calm = np.abs(np.log(np.append(close, np.full(h, close[-1]))[ask + h] / close[ask])) < LARGE\n"
                    r"\1ask = ask[calm]\n\1price = ",
                ),
                (r"def forecast", "LARGE = 0.02\n\n\ndef forecast"),
            ),
        ),
        {**_MOVES, "interval": ["4h", "1d"]},
    ),
    "unclosed bar": Fault(
        ("unclosed bar",),
        (
            ((r'    d = d\[d\["time"\] \+ step <= now\].*\n', ""),),
            ((r'    d = d\.filter\(pl\.col\("time"\) \+ step <= now\)\n', ""),),
            ((r"    candles = candles\.until\(now\)\n", ""),),
        ),
        {"takes": ["test_from, now", "now"], "mend": ["as handed", "forward fill"]},
    ),
}

_SCORED: Mapping[str, Fault] = {
    "scaled units": Fault(
        ("not prices",),
        (((r"( +)price = .*\n", r"\g<0>\1price = (price - close[:first].min()) / np.ptp(close[:first])\n"),),),
        {"family": ["table"], "learner": ["ridge", "neighbours", "forest"]},
    ),
    "returns for prices": Fault(
        ("not prices",),
        (((r"( +)price = .*\n", r"\g<0>\1price = price / close[ask] - 1\n"),),),
        {"bands": ["no"], "move": ["drift", "season"]},
    ),
    "truth of another bar": Fault(
        ("truth misplaced",),
        (((r"reindex\(ds\)", "reindex(cutoff)"),),),
        {"answer": ["nixtla"]},
    ),
    "cutoff of the target": Fault(
        ("target known already",),
        (((r"h \* step, opens\[ask\]", "h * step, opens[ask] + step"),),),
        {"horizons": ["one", "several"]},
    ),
    "one path": Fault(
        ("one path without bands",),
        (((r"ask = np\.arange\(first, n\)", "ask = np.array([first])"),),),
        {**_POINTS, "path": ["yes"], "origins": ["all"]},
    ),
    "tomorrow alone": Fault(
        ("nothing to score",),
        (
            ((r"\(np\.arange\(n\) >= first\)", "(np.arange(n) == n - 1)"),),
            ((r"ask = np\.arange\(first, n\)", "ask = np.array([n - 1])"),),
        ),
        {"mend": ["as handed"], "gaps": [False], "fit": ["once"]},
    ),
    "tiny test": Fault(
        ("too few forecasts",),
        (
            ((r"\(np\.arange\(n\) >= first\)", "(np.arange(n) >= n - 30)"),),
            ((r"np\.arange\(first, n\)", "np.arange(n - 30, n)"),),
        ),
    ),
    "weights that saw the test": Fault(("too good to be true",), wishes=_POINTS),
    "claim that says nothing": Fault(
        ("claim says nothing",), wishes={**_POINTS, "move": ["none", "holt"]}, claims={"mape": 0.9}
    ),
    "claim not borne out": Fault(("claim not borne out",), claims={"rmse": 1e-9}),
}

_DECLARED: Mapping[str, Fault] = {
    "survivors only": Fault(("survivors only",)),
    "pretrained": Fault(("trained on its own test",)),
    "tuned by many trials": Fault(
        ("tuned on its own test",),
        wishes={
            **_POINTS,
            "move": ["autoregression"],
            "horizons": ["one"],
            "mend": ["as handed"],
            "market": ["simulated"],
            "gaps": [False],
            "rho": [0.4],
        },
    ),
    "closed by luck": Fault(("closed by luck",), wishes={"takes": ["test_from", ""]}),
}

FAULTS: Mapping[str, Fault] = _PERTURBED | _SCORED | _DECLARED
