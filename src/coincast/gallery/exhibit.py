"""Each mistake beside the sound recipe: as its author reports it, as it does live, and as an audit sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import Any, NamedTuple

import polars as pl

from ..appraisal import Appraisal, appraise
from ..audit import Audit, Finding
from ..candles import Candles
from ..predictions import predictions
from .faults import Mistake
from .tutorial import Errors, Score

SCHEMA = "coincast-gallery/1"


class Run(NamedTuple):
    """What one learner comes to.

    Args:
        told: the score that its author reports.
        lived: that of the same code as it would have run live.
        frame: the forecasts reported, `ds, cutoff, y, prediction`; of the first series where there are several.
    """

    told: Score
    lived: Score
    frame: pl.DataFrame


def middle(scores: Sequence[Score]) -> Score:
    """The median of each number."""
    beside = [score.no_change for score in scores if score.no_change is not None]
    return Score(
        n=scores[0].n,
        own=_middle([score.own for score in scores]),
        no_change=_middle(beside) if beside else None,
    )


def _middle(errors: Sequence[Errors]) -> Errors:
    r2 = [one.r2 for one in errors if one.r2 is not None]
    return Errors(
        rmse=median(one.rmse for one in errors),
        mape=median(one.mape for one in errors),
        r2=median(r2) if r2 else None,
    )


@dataclass(frozen=True)
class Exhibit:
    """One mistake.

    Args:
        mistake: which.
        candles: what it is shown on, and audited on.
        sound: what the recipe without it comes to on the same candles, learner by learner.
        wrong: what it comes to with the mistake.
        audit: of the code with the mistake, with a learner that learns for a moment only.
        note: what else its numbers show.
    """

    mistake: Mistake
    candles: Candles
    sound: tuple[Run, ...]
    wrong: tuple[Run, ...]
    audit: Audit
    note: str = ""

    @cached_property
    def without(self) -> Score:
        """What the sound recipe reports, which is what it does live."""
        return middle([run.told for run in self.sound])

    @cached_property
    def told(self) -> Score:
        """What is reported with the mistake."""
        return middle([run.told for run in self.wrong])

    @cached_property
    def lived(self) -> Score:
        """What the same code comes to live."""
        return middle([run.lived for run in self.wrong])

    @property
    def caught(self) -> tuple[Finding, ...]:
        """What the audit found of what it may call the mistake."""
        return tuple(one for one in self.audit.worst_first if one.fault in self.mistake.findings)

    @property
    def better(self) -> tuple[str, ...]:
        """In what the report is better than that of the sound recipe with any of its learners."""
        if self.told.no_change is None:
            return ("RMSE",)
        names = []
        if self.told.own.mape < min(run.told.own.mape for run in self.sound):
            names.append("MAPE")
        highest = max((run.told.own.r2 for run in self.sound if run.told.own.r2 is not None), default=None)
        if self.told.own.r2 is not None and highest is not None and self.told.own.r2 > highest:
            names.append("R2")
        return tuple(names)

    @property
    def falls(self) -> bool:
        """Whether it does worse live than was reported."""
        return self.told.no_change is None or self.lived.own.mape > self.told.own.mape

    @property
    def sentence(self) -> str:
        """What the report says, what it would have to say, and what became of it."""
        told, without, lived = self.told, self.without, self.lived
        if told.no_change is None:
            return (
                f"The report says RMSE {told.own.rmse:.3g}, which is {without.own.rmse:,.4g} {self.candles.feed.quote};"
                f" taken for prices the forecasts are off by {_percent(lived.own.mape)}."
            )
        if self.mistake.shown == "scoring" and told.own == without.own and told.no_change:
            return f"The report says {_level(told.own)}; over the same bars 'no change' has {_level(told.no_change)}."
        opening = (
            f"The report gets better in {' and '.join(self.better)}" if self.better else "It does not flatter here"
        )
        elsewhere = ""
        if told.n != without.n and told.ratio is not None and without.ratio is not None:
            elsewhere = (
                f" These are other bars: over them its RMSE is {told.ratio:.2f} times that of 'no change', over its own"
                f" the sound recipe's is {without.ratio:.2f} times."
            )
        return (
            f"{opening}: {_level(told.own)} where the sound recipe has {_level(without.own)}.{elsewhere} Live the same"
            f" code has {_level(lived.own)}."
        )

    def document(self) -> dict[str, Any]:
        """The same as JSON."""
        mistake = self.mistake
        return {
            "number": mistake.number,
            "name": mistake.name,
            "title": mistake.title,
            "shown_by": mistake.shown,
            "stage": mistake.change.stage,
            "feed": str(self.candles.feed),
            "sentence": self.sentence,
            "note": self.note,
            "better_in": list(self.better),
            "sound": [_document(run.told) for run in self.sound],
            "reported": [_document(run.told) for run in self.wrong],
            "live": [_document(run.lived) for run in self.wrong],
            "outcome": self.audit.outcome,
            "caught_as": [one.fault for one in self.caught],
            "findings": [
                {"fault": one.fault, "fails": one.kind.fails, "says": one.says, "do": one.kind.do}
                for one in self.audit.worst_first
            ],
        }


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _level(errors: Errors) -> str:
    return f"MAPE {_percent(errors.mape)}" + ("" if errors.r2 is None else f" and R2 {errors.r2:.3f}")


def _document(score: Score) -> dict[str, Any]:
    return {
        "n": score.n,
        **score.own._asdict(),
        "no_change": score.no_change._asdict() if score.no_change else None,
        "rmse_ratio": score.ratio,
    }


@dataclass(frozen=True)
class Gallery:
    """All that was asked for.

    Args:
        learner: what learnt.
        learners: how many of them, each from another seed.
        exhibits: by number.
        audit: of the sound recipe.
        classic: the sound recipe one bar ahead on the candles asked for; None if no mistake was shown on them.
        seconds: how long it took.
    """

    learner: str
    learners: int
    exhibits: tuple[Exhibit, ...]
    audit: Audit
    classic: Run | None
    seconds: float

    @property
    def candles(self) -> Candles:
        """Those asked for."""
        return self.audit.candles

    @cached_property
    def autopsy(self) -> Appraisal | None:
        """The sound recipe's own forecasts, judged: what they are a copy of."""
        if self.classic is None:
            return None
        frame = self.classic.frame.select("ds", "cutoff", pl.col("prediction").alias(f"the price {self.learner}"))
        found, _ = predictions(frame, self.candles.feed)
        return appraise(found, self.candles, references=("naive",))

    @property
    def sentence(self) -> str:
        """How many flatter, how many are caught, how many fall."""
        count = len(self.exhibits)
        better, caught, falls = (
            sum(map(bool, each))
            for each in zip(*((one.better, one.caught, one.falls) for one in self.exhibits), strict=True)
        )
        passed = "passes" if self.audit.outcome == "passed" else "does not pass"
        return (
            f"{count} mistake{'s' * (count != 1)}: {better} made the report better, {falls} did worse live than was"
            f" reported, the audit caught {caught}. The sound recipe {passed}."
        )

    def document(self) -> dict[str, Any]:
        """The same as JSON."""
        return {
            "schema": SCHEMA,
            "sentence": self.sentence,
            "feed": str(self.candles.feed),
            "digest": self.candles.digest,
            "test_from": self.audit.test_from.isoformat(),
            "learner": self.learner,
            "learners": self.learners,
            "sound": {"outcome": self.audit.outcome, "findings": [one.fault for one in self.audit.worst_first]},
            "exhibits": [one.document() for one in self.exhibits],
            "timing": {"seconds": round(self.seconds, 3)},
        }
