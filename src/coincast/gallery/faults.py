"""The sixteen mistakes: what each is, where it is met, what an audit must call it, and a question for a student."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, NamedTuple

from ..errors import RecipeError
from . import mistakes, tutorial
from .learners import Model
from .tutorial import Stages

# The question that settles it: do other futures change the forecasts, what do they score, what does its maker say?
Shown = Literal["perturbation", "scoring", "declaration"]
# What it is shown on: the bars one ahead, the same a week ahead, days joined from hours, hours, drawn markets.
Subject = Literal["bars", "seven ahead", "days", "hours", "markets"]
# When its code is asked as it would run live.
Asked = Literal["at each close", "once a month", "at noon"]


class Change(NamedTuple):
    """A stage of the tutorial and what stands in its place."""

    stage: str
    put: Callable[..., Any]

    @property
    def before(self) -> str:
        """The stage's code as it should be."""
        return inspect.getsource(getattr(tutorial, self.stage)).rstrip()

    @property
    def after(self) -> str:
        """The code in its place."""
        return inspect.getsource(self.put).rstrip()


@dataclass(frozen=True)
class Mistake:
    """One of the sixteen.

    Args:
        number: in the catalogue.
        name: how it is asked for.
        title: what was done.
        says: why that is a mistake.
        met: where it is met.
        shown: how it comes to light.
        findings: what an audit may call it, keys of `coincast.audit.FAULTS`; one of them must be found.
        exercise: a question for a student.
        change: which stage of the tutorial it takes the place of.
        subject: what it is shown on.
        splits_itself: whether its code chooses its own test, so that it cannot be told when to begin.
        asked: when its code is asked as it would run live.
    """

    number: int
    name: str
    title: str
    says: str
    met: str
    shown: Shown
    findings: tuple[str, ...]
    exercise: str
    change: Change
    subject: Subject = "bars"
    splits_itself: bool = False
    asked: Asked = "at each close"

    @property
    def comes_trained(self) -> bool:
        """Whether its weights were learnt before and elsewhere."""
        return self.change.stage == "fit"

    def stages(self, sound: Stages, weights: Model | None = None) -> Stages:
        """The stages with this one wrong.

        Args:
            sound: as they should be.
            weights: of a mistake that comes trained.
        """
        put = partial(self.change.put, weights=weights) if self.comes_trained else self.change.put
        stages: Mapping[str, Any] = {self.change.stage: put}
        return replace(sound, **stages)


MISTAKES = (
    Mistake(
        number=1,
        name="scaler",
        title="The scaler was fitted on all rows",
        says="The smallest and largest price of the test decide what 0 and 1 mean in training: a network that reads 0.5"
        " on the day before a rally has been told that the price will double.",
        met="`MinMaxScaler().fit_transform(df)` as the first line after reading the file; the same with imputers,"
        " limits for outliers and selected features.",
        shown="perturbation",
        findings=("scale from the future",),
        exercise="Multiply every bar after the first origin by seven and ask again. Which forecasts change, and why"
        " does putting those bars in reverse order change none?",
        change=Change("scale", mistakes.scale_everything),
    ),
    Mistake(
        number=2,
        name="shuffle",
        title="The rows were shuffled before they were split",
        says="Each row of the test has its neighbours in training, and they share 59 of 60 closes with it.",
        met="`train_test_split(X, y, test_size=0.2)`, which shuffles unless told not to; k-fold cross-validation.",
        shown="perturbation",
        findings=("learnt from the future",),
        exercise="Of the test rows, how many have the row before and the row after them in training? Compute it from"
        " TEST_SHARE, then count.",
        change=Change("split", mistakes.split_shuffled),
        splits_itself=True,
    ),
    Mistake(
        number=3,
        name="overlap",
        title="Training reaches into the test",
        says="Seven bars ahead, the last six training labels are closes from after the first forecast was made.",
        met="`train, test = rows[:n], rows[n:]` with labels more than one bar ahead, and no gap between the two.",
        shown="perturbation",
        findings=("labels across the split",),
        exercise="With labels h bars ahead, how many rows must be left out? What does the formula say for h = 1, and so"
        " why has this mistake no place in a one-step forecast?",
        change=Change("split", mistakes.split_touching),
        subject="seven ahead",
    ),
    Mistake(
        number=4,
        name="same-bar",
        title="The day's high and low help to forecast its close",
        says="They are known when the day is over, and so is its close.",
        met='`X = df[["Open", "High", "Low", "Volume"]]; y = df["Close"]`, row by row, in countless notebooks.',
        shown="perturbation",
        findings=("same-bar feature",),
        exercise="Ask the code for tomorrow. What does it put in the place of tomorrow's high, and what becomes of its"
        " error?",
        change=Change("features", mistakes.features_of_the_day),
    ),
    Mistake(
        number=5,
        name="centred-filter",
        title="The series was smoothed by a centred filter",
        says="Each smoothed close holds two closes from after it, and the forecast is scored by smoothed closes too.",
        met="Savitzky-Golay, wavelets, `rolling(5, center=True)`, `bfill()`, `interpolate()` before the split.",
        shown="perturbation",
        findings=("window into the future", "truth misplaced"),
        exercise="Replace the centred mean by one that ends at its bar. What remains of the gain, and which of the two"
        " leaks, that of the inputs or that of the truths, was it?",
        change=Change("clean", mistakes.clean_and_denoise),
    ),
    Mistake(
        number=6,
        name="in-sample",
        title="The error was measured on the training rows",
        says="It tells how well the past was learnt by heart.",
        met="`model.fit(X, y)` and then `model.predict(X)`; a plot of all years in one colour.",
        shown="perturbation",
        findings=("learnt from the future",),
        exercise="Give the network more units and epochs. How does the in-sample error change, and how the live one?",
        change=Change("split", mistakes.split_not_at_all),
        splits_itself=True,
    ),
    Mistake(
        number=7,
        name="no-baseline",
        title="The R2 of the price level is the headline",
        says="Prices are near where they were: repeating the last one has a higher R2 than the network.",
        met="The first paragraph of most READMEs; the plot in which one line clings to the other.",
        shown="scoring",
        findings=("claim says nothing",),
        exercise="Compute the R2 of 'no change' over the same rows, then that of the forecast change against the true"
        " change. Which of the two would you put into the README?",
        change=Change("claim", mistakes.claim_the_level),
    ),
    Mistake(
        number=8,
        name="scaled-units",
        title="The error is quoted in scaled units",
        says="An RMSE of 0.03 is three hundredths of the range the scaler has seen, whatever that was.",
        met="`mean_squared_error(y_test, model.predict(X_test))` without `inverse_transform`.",
        shown="scoring",
        findings=("not prices",),
        exercise="Turn the scaled RMSE into dollars by hand, from the smallest and the largest training close.",
        change=Change("report", mistakes.report_scaled),
    ),
    Mistake(
        number=9,
        name="test-stopping",
        title="The test told training when to stop",
        says="The epoch that suits the test best is kept; each epoch is one more look at it.",
        met="`validation_data=(X_test, y_test)` with `EarlyStopping`; settings chosen by the error of the test.",
        shown="perturbation",
        findings=("learnt from the future", "scale from the future", "window into the future"),
        exercise="Live there is no test to stop by. What is left to decide when training ends, and what does it cost?",
        change=Change("split", mistakes.split_stopped_by_the_test),
    ),
    Mistake(
        number=10,
        name="tiny-test",
        title="One month was the test",
        says="Over thirty days of one seed the error says which month it was, not how good the forecast is.",
        met="Tests of 16 to 31 rows, one origin, one seed.",
        shown="scoring",
        findings=("too few forecasts",),
        exercise="Cut the whole test into months and score each. How far apart are the best and the worst?",
        change=Change("split", mistakes.split_a_month),
        splits_itself=True,
    ),
    Mistake(
        number=11,
        name="one-path",
        title="A month ahead was drawn as one line",
        says="Each step reads the steps before as if they had come true. What is drawn is one of very many paths, and"
        " how far the others stray is left out.",
        met='"Bitcoin price prediction for the next 30 days", a red line at the right end of the chart.',
        shown="scoring",
        findings=("one path without bands",),
        exercise="Draw the path again from the day after. How far are the two apart where they meet thirty days on?",
        change=Change("predict", mistakes.predict_a_month),
        asked="once a month",
    ),
    Mistake(
        number=12,
        name="unclosed-bar",
        title="The bar that is still forming was taken for closed",
        says="Backtests have closed bars only, so nothing shows there. Live, the newest row is half a day.",
        met="Exchanges return the forming candle as the last row; `df.iloc[-1]`, or `df[:-1]` whatever that row is.",
        shown="perturbation",
        findings=("unclosed bar",),
        exercise="Ask at 00:01 instead of noon. Which close does the forming bar have then, and what is repeated in the"
        " window?",
        change=Change("clean", mistakes.clean_as_it_comes),
        subject="days",
        asked="at noon",
    ),
    Mistake(
        number=13,
        name="day-boundary",
        title="Days of two time zones were joined by date",
        says="A day that ends at midnight in New York closes four or five hours after the exchange's day of the same"
        " date: yesterday's close knows the first hours of today.",
        met="Yahoo's days beside an exchange's; stock indices and moods joined to coins by calendar date.",
        shown="perturbation",
        findings=("window into the future",),
        exercise="How much of a day's variance lies in its first five hours, and so by how much should the error of a"
        " perfect listener fall?",
        change=Change("features", mistakes.features_of_another_source),
        subject="hours",
    ),
    Mistake(
        number=14,
        name="label-shift",
        title="The label was shifted the wrong way",
        says="The label of each row is the close before it, which stands among its features: the network copies it.",
        met='`df["y"] = df["close"].shift(1)` where -1 was meant.',
        shown="scoring",
        findings=("truth misplaced",),
        exercise="The error is nearly nothing. Score the same forecasts by the closes they name: of which well-known"
        " forecast are they a copy, and how many bars late?",
        change=Change("target", mistakes.target_shifted),
    ),
    Mistake(
        number=15,
        name="survivors",
        title="The coins are those that are still there",
        says="Whoever lists coins today leaves out those that fell to nothing on the way.",
        met="`top_10 = coins_by_market_cap()` at the head of a backtest over five years.",
        shown="declaration",
        findings=("survivors only",),
        exercise="Draw a hundred random walks, keep the ten that ended highest. What did holding them earn, in a market"
        " in which nothing can be earned?",
        change=Change("declare", mistakes.declare_the_living),
        subject="markets",
    ),
    Mistake(
        number=16,
        name="pretrained",
        title="The weights had been trained on the test",
        says="Nothing in the code looks ahead: the weights it loads have.",
        met="Foundation models and language models scored on years that they were trained on.",
        shown="declaration",
        findings=("trained on its own test",),
        exercise="Which of the audit's experiments could see this, if the weights are a file? What would its maker have"
        " to publish so that you could check?",
        change=Change("fit", mistakes.fit_nothing),
    ),
)


def mistake_named(text: str) -> Mistake:
    """The mistake of this name or number.

    Raises:
        RecipeError: there is none.
    """
    for mistake in MISTAKES:
        if text.strip().lower() in (mistake.name, str(mistake.number)):
            return mistake
    raise RecipeError(
        f"There is no mistake {text!r} in the gallery.",
        "Each has a number and a name.",
        f"Choose among {', '.join(f'{one.number} {one.name}' for one in MISTAKES)}.",
    )
