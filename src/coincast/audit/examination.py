"""An audit: ask a pipeline about the candles as they are and as they never were, score it, hear its maker, conclude."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import numpy as np

from ..appraisal import Appraisal, appraise
from ..candles import SCHEMA, Candles
from ..errors import DataError
from ..feed import from_numpy, to_numpy, utc
from ..perturbation import another_market
from ..predictions import Predictions
from ..sandbox import Answer, Question, Signature
from .causality import Change, Ground, changes, early, outcome
from .comparison import SAME, Experiment, compare
from .conduct import from_disk, irreproducible, misbehaviour, noise, on_disk, refusal, unchanged_by_all
from .declarations import Declarations
from .evidence import form, in_a_random_walk, origin_prices, unit, worth
from .findings import FAULTS, UNDECLARED, Finding
from .interview import Interview, Monitor, Reply, silent
from .pipeline import Pipeline
from .sight import diagnose
from .word import held_against

SCHEMA_NAME = "coincast-audit/1"
Outcome = Literal["passed", "failed", "incomplete"]
# Share of the candles that is forecast where nobody says from when on.
TEST_SHARE = 0.3
# Bars without which there is nothing to ask about.
FEWEST = 100
# What leaves a question open: no fault was shown, nor was it shown that there is none.
OPEN = (UNDECLARED, "not looked at", "keeps files", "reads files")
# How much of the next bar's move the canary knows.
CANARY = 0.01


@dataclass(frozen=True)
class Audit:
    """What an audit did and found.

    Args:
        pipeline: its name.
        source: where it stands.
        candles: what it was asked about.
        test_from: the first origin it was asked for.
        origins: the first and the last it forecast from; None if it never answered.
        declared: its maker's word.
        claims: what its maker claims.
        findings: every fault found.
        experiments: every change of the future, and what came of it.
        control: how many of the experiments see a planted leak: a forecast that knows a hundredth of the next move.
        predictions: its forecasts, as it wrote them.
        appraisal: their scores beside the references'; None if nothing could be scored.
        notes: what had to be assumed.
        calls: how often it was asked.
        seconds: how long all of it took.
    """

    pipeline: str
    source: str
    candles: Candles
    test_from: datetime
    origins: tuple[datetime, datetime] | None
    declared: Declarations
    claims: Mapping[str, float]
    findings: tuple[Finding, ...]
    experiments: tuple[Experiment, ...] = ()
    control: tuple[int, int] = (0, 0)
    predictions: tuple[Predictions, ...] = ()
    appraisal: Appraisal | None = None
    notes: tuple[str, ...] = ()
    calls: int = 0
    seconds: float = 0.0

    @property
    def worst_first(self) -> list[Finding]:
        """Faults before what is not declared before remarks, as the catalogue orders them."""
        order = list(FAULTS)
        return sorted(self.findings, key=lambda one: (not one.kind.fails, order.index(one.fault)))

    @property
    def blind(self) -> bool:
        """Whether the experiments could not have seen a leak: few had an answer, or the canary went unseen."""
        seen, of = self.control
        unanswered = sum(one.passed is None for one in self.experiments)
        return seen < of or not of or 2 * unanswered > len(self.experiments)

    @property
    def saw_ahead(self) -> bool:
        """Whether a forecast changed with bars it must not know, so that none of its scores counts."""
        return any(one.kind.shown == "perturbation" and one.kind.fails for one in self.findings)

    @property
    def outcome(self) -> Outcome:
        """`failed` if there is a fault, `incomplete` if something is not declared or could not be looked at."""
        if any(one.kind.fails for one in self.findings):
            return "failed"
        open_ = any(one.fault in OPEN for one in self.findings)
        return "incomplete" if open_ or self.blind else "passed"

    @property
    def sentence(self) -> str:
        """The outcome in words, with the gravest finding."""
        faults = [one for one in self.worst_first if one.kind.fails]
        if faults:
            others = f" {len(faults) - 1} more below." if len(faults) > 1 else ""
            return f"{self.pipeline} failed: {faults[0].kind.is_}.{others}"
        if self.outcome == "incomplete":
            missing = sum(one.fault == UNDECLARED for one in self.findings)
            if missing:
                things = (
                    "one thing that no test can show is" if missing == 1 else f"{missing} things no test can show are"
                )
                return f"Incomplete: nothing was found against {self.pipeline}, but {things} not declared."
            open_ = next(
                (one.kind.is_ for one in self.findings if one.fault in OPEN), "a planted leak was not found either"
            )
            return f"Incomplete: nothing was found against {self.pipeline}, but {open_}."
        tried = len(self.experiments)
        return f"{self.pipeline} passed: none of {tried} other futures changed a forecast, and its word is in."

    def document(self) -> dict[str, Any]:
        """The same as JSON."""
        return {
            "schema": SCHEMA_NAME,
            "pipeline": self.pipeline,
            "source": self.source,
            "outcome": self.outcome,
            "sentence": self.sentence,
            "feed": str(self.candles.feed),
            "digest": self.candles.digest,
            "test_from": self.test_from.isoformat(),
            "origins": [time.isoformat() for time in self.origins] if self.origins else None,
            "findings": [_finding(one) for one in self.worst_first],
            "experiments": [_experiment(one) for one in self.experiments],
            "control": {"seen": self.control[0], "of": self.control[1]},
            "declared": _plain(dataclasses.asdict(self.declared)),
            "claims": dict(self.claims),
            "appraisal": self.appraisal.document() if self.appraisal else None,
            "notes": list(self.notes),
            "calls": self.calls,
            "timing": {"seconds": round(self.seconds, 3)},
        }


def _finding(one: Finding) -> dict[str, Any]:
    kind = one.kind
    said = {"fault": one.fault, "shown_by": kind.shown, "fails": kind.fails, "says": one.says, "do": kind.do}
    return said | _plain({"origin": one.origin, "bar": one.bar})


def _experiment(one: Experiment) -> dict[str, Any]:
    largest = one.largest if np.isfinite(one.largest) else None
    return _plain(dataclasses.asdict(one)) | {"largest": largest, "passed": one.passed}


def _plain(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in document.items()}


def audit(
    pipeline: Pipeline,
    candles: Candles,
    *,
    test_from: datetime | None = None,
    timeout: float = 300.0,
    processes: int = 2,
    monitor: Monitor = silent,
) -> Audit:
    """Look for every fault in `FAULTS`.

    Args:
        pipeline: what to audit.
        candles: what it is asked about.
        test_from: the first origin, for a pipeline that takes one; by default the last 30 % of the candles.
        timeout: seconds it may take for one answer.
        processes: how many answers are worked on at a time.
        monitor: told of progress.

    Raises:
        DataError: the candles are too few, or `test_from` is naive or after them.
    """
    began = time.perf_counter()
    if len(candles) < FEWEST:
        raise DataError(
            f"{len(candles)} bars of {candles.feed} are too few to audit a pipeline on.",
            "It needs bars to learn from, bars to forecast and bars after those to change.",
            f"Pass at least {FEWEST}.",
        )
    bare = Candles(candles.feed, candles.frame.select(*SCHEMA, *candles.outside))
    start = (utc(test_from) if test_from else None) or from_numpy(bare.known_at[round(len(bare) * (1 - TEST_SHARE))])
    if start >= bare.end:
        raise DataError(
            f"The first forecast is to start {start:%Y-%m-%d %H:%M}; the last bar closes {bare.end:%Y-%m-%d %H:%M}.",
            "There is nothing to forecast that could be looked at.",
            "Set test_from inside the span of the candles.",
        )
    with closing(Interview(pipeline, timeout, processes, monitor)) as interview:
        done = _examine(pipeline, Question(bare, start, bare.end), interview)
    return dataclasses.replace(done, calls=interview.calls, seconds=time.perf_counter() - began)


def _examine(pipeline: Pipeline, question: Question, interview: Interview) -> Audit:
    started = Audit(
        pipeline=pipeline.name,
        source=pipeline.source,
        candles=question.candles,
        test_from=question.test_from,
        origins=None,
        declared=pipeline.declared,
        claims=pipeline.claims,
        findings=(),
    )
    signature = interview.open()
    if isinstance(signature, Answer):
        return dataclasses.replace(started, findings=tuple(misbehaviour(Reply(signature))))
    [base] = interview.ask([question], "the candles as they are")
    conduct = misbehaviour(base)
    if not base.predictions:
        return dataclasses.replace(started, findings=tuple(conduct), notes=base.notes)
    ground = Ground(question, base.predictions)
    looked = _look(base, ground, signature, interview)
    interview.monitor(interview.calls, interview.calls, "its scores beside the references'")
    heard = _weigh(pipeline, ground, signature)
    findings = [*conduct, *_one_seed(pipeline, looked.chance), *looked.chance, *looked.findings, *heard.findings]
    findings += on_disk(interview.kept)
    if pipeline.declared.pretrained_until == "never":
        findings += from_disk(interview.found)
    return dataclasses.replace(
        started,
        origins=(from_numpy(ground.origins[0]), from_numpy(ground.origins[-1])) if len(ground.origins) else None,
        findings=tuple(dict.fromkeys(findings)),
        experiments=looked.experiments,
        control=looked.control,
        predictions=base.predictions,
        appraisal=heard.appraisal,
        notes=(*base.notes, *heard.notes),
    )


def _one_seed(pipeline: Pipeline, chance: Sequence[Finding]) -> list[Finding]:
    if not chance or pipeline.declared.seeds != 1:
        return []
    return [Finding("one seed", "Its forecasts depend on chance, and by its word they are those of a single seed.")]


@dataclass(frozen=True)
class _Looked:
    findings: Sequence[Finding]
    chance: Sequence[Finding]
    experiments: tuple[Experiment, ...]
    control: tuple[int, int]


def _look(base: Reply, ground: Ground, signature: Signature, interview: Interview) -> _Looked:
    """Other futures, another market, other chances; and the same again of every process, after all that.

    One process was never asked before: what it keeps from its first question, another future, shows in its last.
    """
    asked = changes(ground, signature)
    elsewhere = ground.ask_of(another_market(ground.candles))
    reseeded = ground.question._replace(seed=1)
    todo = [*(change.question for change in asked), elsewhere, reseeded]
    *replies, other, otherwise = interview.ask(todo, "other futures")
    again = interview.ask([ground.question] * interview.sandboxes, "the candles as they are once more")
    ground = dataclasses.replace(ground, noise=max(noise(base.predictions, one.predictions) for one in again))
    experiments = [outcome(ground, change, reply) for change, reply in zip(asked, replies, strict=True)]
    findings = _conduct(asked, replies)
    late = [found for change, reply in zip(asked, replies, strict=True) if (found := _forming(change, reply, ground))]
    failed = [
        one for change, one in zip(asked, experiments, strict=True) if one.changed and not _has_forming_bar(change)
    ]
    findings += late[:1]
    findings += unit(ground.predictions, ground.candles, other.predictions, elsewhere.candles)
    if failed:
        findings.append(diagnose(ground, interview, failed))
    if not other.predictions:
        says = "It has no answer about another market, so what it does where nothing can be forecast is not known."
        findings.append(Finding("not looked at", says))
    elif unchanged_by_all(ground.predictions, other.predictions):
        says = "On entirely other candles every forecast was the same."
        findings.append(Finding("reads something else", says))
    else:
        findings += in_a_random_walk(other.predictions, elsewhere.candles)
    chance = irreproducible(base, again, otherwise)
    return _Looked(findings, chance, tuple(experiments), _control(ground, asked, experiments))


def _conduct(asked: Sequence[Change], replies: Sequence[Reply]) -> list[Finding]:
    """The first question that made it crash, hang or answer nonsense, where the first one of all did not."""
    for change, reply in zip(asked, replies, strict=True):
        if not reply.predictions:
            return refusal(reply, change.words)
    return []


def _has_forming_bar(change: Change) -> bool:
    return change.question.now < change.question.candles.end


def _forming(change: Change, reply: Reply, ground: Ground) -> Finding | None:
    """What it did with a bar that had not closed."""
    if not _has_forming_bar(change):
        return None
    found = early(change, reply)
    experiment = outcome(ground, change, reply)
    if found is None and experiment.changed:
        says = f"With {change.words}, {experiment.changed:,} of {experiment.compared:,} forecasts before it changed."
        found = Finding("unclosed bar", says, experiment.first, from_numpy(change.question.candles.time[-1]))
    return found


def _control(ground: Ground, asked: Sequence[Change], experiments: Sequence[Experiment]) -> tuple[int, int]:
    """How many of the experiments find a leak that is planted in these very forecasts, among those it could show in."""
    seen = of = 0
    for change, experiment in zip(asked, experiments, strict=True):
        if experiment.compared and _other_next_bar(ground, change):
            base = [_canary(one, ground.candles) for one in ground.predictions]
            other = [_canary(one, change.question.candles) for one in ground.predictions]
            seen += bool(compare(change.words, change.until, base, other, same=ground.same).changed)
            of += 1
    return seen, of


def _other_next_bar(ground: Ground, change: Change) -> bool:
    """Whether the next bar closes clearly elsewhere; not if it is cut off, missing or by chance much the same."""
    bar, other = ground.bar(to_numpy(change.until)) + 1, change.question.candles
    if bar >= min(len(other), len(ground.candles)):
        return False
    return bool(CANARY * abs(other.close[bar] / ground.candles.close[bar] - 1) > 2 * SAME)


def _canary(predictions: Predictions, candles: Candles) -> Predictions:
    """The forecasts, each moved by a hundredth of what the price moves in the bar after its origin."""
    start = origin_prices(predictions, candles)
    step = dataclasses.replace(predictions, origin=predictions.origin + candles.feed.interval.step)
    after = origin_prices(step, candles)
    move = np.where(np.isfinite(start) & np.isfinite(after), CANARY * (after - start), 0.0)
    return dataclasses.replace(predictions, prices=predictions.prices + move[:, None])


@dataclass(frozen=True)
class _Weighed:
    findings: Sequence[Finding]
    appraisal: Appraisal | None
    notes: Sequence[str]


def _weigh(pipeline: Pipeline, ground: Ground, signature: Signature) -> _Weighed:
    """The audit's own scores, the claims and the maker's word."""
    candles = ground.candles
    findings = [found for one in ground.predictions for found in _named(ground, one, form(one, candles))]
    appraisal: Appraisal | None = None
    notes: Sequence[str] = ()
    p_better: list[float | None] = []
    try:
        appraisal = appraise(ground.predictions, candles)
    except DataError as error:
        notes = (str(error),)
        findings.append(Finding("nothing to score", error.found))
    if appraisal:
        notes = appraisal.notes
        for one in appraisal.predictions:
            # Claims are of the pipeline, which is its first column; others may stand beside it to compare with.
            claims = pipeline.claims if one is appraisal.predictions[0] else {}
            findings += _named(ground, one, worth(appraisal, one, claims))
        own = {one.model for one in appraisal.predictions}
        p_better = [v.comparison.p_better for v in appraisal.verdicts if v.comparison and v.model in own]
    first = from_numpy(min(one.origin.min() for one in ground.predictions))
    findings += held_against(pipeline.declared, candles.feed, first, signature, p_better)
    return _Weighed(findings, appraisal, notes)


def _named(ground: Ground, one: Predictions, found: Sequence[Finding]) -> Sequence[Finding]:
    """Which model a finding is about, where there are several."""
    if len(ground.predictions) == 1:
        return found
    return [dataclasses.replace(finding, says=f"{one.model}: {finding.says}") for finding in found]
