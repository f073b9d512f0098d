"""What can be wrong with a forecast and with what is claimed of it, and what an audit found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

# How a fault comes to light: by changing what the pipeline must not know, by scoring its forecasts, by what its maker
# declares, or by how it behaves when it is asked.
Shown = Literal["perturbation", "scoring", "declaration", "conduct"]


# What only its maker can tell, untold.
UNDECLARED = "not declared"


class Fault(NamedTuple):
    """One thing that can be wrong.

    Args:
        shown: how it comes to light.
        is_: what it is.
        do: the mend.
        fails: whether an audit that finds it has failed; otherwise it is a remark.
    """

    shown: Shown
    is_: str
    do: str
    fails: bool = True


FAULTS: Mapping[str, Fault] = {
    # --- perturbation
    "scale from the future": Fault(
        "perturbation",
        "a scale, a limit or a choice of features was taken from bars after the forecast",
        "Fit scalers, outlier limits, fill values and the choice of features on the training rows alone.",
    ),
    "learnt from the future": Fault(
        "perturbation",
        "the model learnt from bars after the forecast",
        "It was fitted on all rows, the split was shuffled, or early stopping or tuning looked at the test: split by"
        " time, then fit, stop and choose on the rows before the first forecast alone.",
    ),
    "labels across the split": Fault(
        "perturbation",
        "training labels reach past the first forecast's origin",
        "Drop training rows whose target lies after the split: the last `horizon` of them.",
    ),
    "same-bar feature": Fault(
        "perturbation",
        "a forecast reads the very bar it forecasts",
        "Shift features so that a forecast reads only bars that had closed by its origin.",
    ),
    "window into the future": Fault(
        "perturbation",
        "a forecast reads bars that came after it",
        "Look for a centred filter, a back-fill, an interpolation, a wrong shift, a day's values joined to its own"
        " hours or cut in another time zone: use windows that end at the origin, fill forwards only, and join what had"
        " closed.",
    ),
    "future read": Fault(
        "perturbation",
        "forecasts change with bars after their origin",
        "Compute every forecast from bars that had closed by its origin.",
    ),
    "left out by outcome": Fault(
        "perturbation",
        "which forecasts there are depends on what came after them",
        "Forecast from every origin; leave none out for what its target turned out to be.",
    ),
    "counts the bars": Fault(
        "perturbation",
        "forecasts change with the number of bars handed over",
        "Draw chances and choose splits by time, not by the number of rows: live, each new bar would change them all.",
        fails=False,
    ),
    "unclosed bar": Fault(
        "perturbation",
        "the bar that is still forming was taken for a closed one",
        "Keep bars with open time + interval <= now; never decide by dropping the last row.",
    ),
    "reads something else": Fault(
        "perturbation",
        "forecasts do not depend on the candles that were handed over",
        "Read the candles from the argument; what comes from a file, the network or a notebook cannot be audited.",
    ),
    # --- scoring
    "no skill beside no change": Fault(
        "scoring",
        "the point forecast is no nearer than the last price",
        "Report every error beside that of 'no change', and judge by the difference.",
        fails=False,
    ),
    "claim says nothing": Fault(
        "scoring",
        "the claimed number is one that 'no change' reaches too",
        "Claim the ratio to 'no change', with its test, not an error or an R2 of the price level.",
    ),
    "claim not borne out": Fault(
        "scoring",
        "the claimed number is not that of these forecasts",
        "Compute claims from the forecasts that were made, in the unit of the price.",
    ),
    "not prices": Fault(
        "scoring",
        "the forecasts are not in the unit of the price",
        "Bring forecasts back from scaled units or returns to prices before they are scored.",
    ),
    "truth misplaced": Fault(
        "scoring",
        "the truths it was scored by are not the closes at its targets",
        "Score each forecast by the close of the bar it names; look for a shift of the wrong sign.",
    ),
    "target known already": Fault(
        "scoring",
        "the forecast's target had closed when it was made",
        "Forecast a bar after the origin: horizon 1 or more.",
    ),
    "nothing to score": Fault(
        "scoring",
        "none of the forecasts can be scored",
        "Forecast positive prices of observed bars inside the candles.",
    ),
    "too few forecasts": Fault(
        "scoring",
        "too few forecasts to tell skill from luck",
        "Forecast from at least 250 origins, over more than one refit and seed.",
    ),
    "one path without bands": Fault(
        "scoring",
        "a path over many bars from a single origin, drawn as one line",
        "Forecast from many origins and state an interval at each horizon.",
    ),
    "bands do not hold": Fault(
        "scoring",
        "the share of outcomes inside a stated band is not the stated share",
        "Calibrate the bands on forecasts whose outcomes were known.",
        fails=False,
    ),
    "skill where there is none": Fault(
        "scoring",
        "it beats 'no change' on a random walk, where nothing can",
        "Look for the leak: no honest forecast can do this.",
    ),
    "too good to be true": Fault(
        "scoring",
        "its gain is larger than any honest forecast of such prices has shown",
        "Take it for a leak until it is explained: weights trained on these dates, a target among the features.",
    ),
    # --- declaration
    UNDECLARED: Fault(
        "declaration",
        "no test can show this, and it was not declared",
        "Declare it in the file given as --declare.",
        fails=False,
    ),
    "survivors only": Fault(
        "declaration",
        "the list of assets was drawn up after the forecasts begin, so those that died are not in it",
        "Draw the list up by what was known at the first origin, and keep what was delisted.",
    ),
    "trained on its own test": Fault(
        "declaration",
        "the weights had seen these dates before",
        "Score only from the day after the training data ends.",
    ),
    "tuned on its own test": Fault(
        "declaration",
        "settings were chosen on the dates they are judged by, and the gain does not survive the number of trials",
        "Choose on earlier dates, or divide the significance by the number of trials.",
    ),
    "one seed": Fault(
        "declaration",
        "a network's result from a single seed is a draw, not a result",
        "Report the distribution over at least five seeds, and forecast with their average.",
        fails=False,
    ),
    "closed by luck": Fault(
        "declaration",
        "whether the newest bar has closed is not decided by time",
        "Take a parameter `now` and keep bars with open time + interval <= now.",
    ),
    # --- conduct
    "crashes": Fault("conduct", "it raised an error", "Run it by itself on these candles and mend the error."),
    "not looked at": Fault(
        "conduct",
        "an experiment had no answer",
        "Forecast whatever the market does, at any level of prices.",
        fails=False,
    ),
    "keeps files": Fault(
        "conduct",
        "it reads back what it wrote to disk when it was asked before",
        "Keep nothing from one call to the next while it is audited: clear the cache, or write to a fresh folder.",
        fails=False,
    ),
    "reads files": Fault(
        "conduct",
        "it reads a file that was there before, and by its word it starts from nothing",
        "Declare as pretrained_until the last day of which the file knows, or write settings into the code.",
        fails=False,
    ),
    "refuses other candles": Fault(
        "conduct",
        "it raised an error at candles that are only unusual",
        "Forecast whatever the market does; nothing could be looked for in those experiments.",
        fails=False,
    ),
    "hangs": Fault("conduct", "it did not answer in time", "Make it quicker, or give it more time with --timeout."),
    "nonsense": Fault("conduct", "its answer is not a frame of forecasts", "Return ds, cutoff and a column of prices."),
    "mutates its input": Fault(
        "conduct", "it changes the candles it was handed", "Work on a copy: frame = frame.copy()."
    ),
    "not reproducible": Fault(
        "conduct",
        "asked twice the same, it answers differently",
        "Seed every source of chance inside the function, and keep nothing from one call to the next.",
    ),
    "prints": Fault("conduct", "it prints while it forecasts", "Log, or return what is to be said.", fails=False),
}


@dataclass(frozen=True)
class Finding:
    """One fault that an audit found.

    Args:
        fault: its name, a key of `FAULTS`.
        says: what was found, with the numbers.
        origin: of the forecast in which it shows, None if in no one forecast.
        bar: the bar (its open) that moved the forecast or that it concerns.
    """

    fault: str
    says: str
    origin: datetime | None = None
    bar: datetime | None = None

    @property
    def kind(self) -> Fault:
        """What the fault is, how it comes to light, and the mend."""
        return FAULTS[self.fault]
