"""One file a model: where it comes from, its settings, what it learns, how it forecasts.

`MODELS` names those that learn from candles, `COMBINERS` those that are made of other models' forecasts. A file is
imported when it is first asked for, so that a list of names costs nothing.
"""

from __future__ import annotations

import difflib
from importlib import import_module

from ..combiner import Combiner
from ..errors import RecipeError
from ..forecaster import Forecaster

MODELS: dict[str, str | type[Forecaster]] = {
    "naive": "naive.Naive",
    "drift": "drift.Drift",
    "naive-conformal": "naive.NaiveConformal",
    "ewma-t": "ewma_t.EwmaT",
    "ewma-fhs": "ewma_fhs.EwmaFhs",
    "range-t": "range_t.RangeT",
    "season-t": "season_t.SeasonT",
    "har-t": "har_t.HarT",
    "linear-t": "linear_t.LinearT",
    "boosted-q": "boosted.BoostedQ",
    "garch-t": "garch.GarchT",
    "gjr-skewt": "garch.GjrSkewT",
    "egarch-skewt": "garch.EgarchSkewT",
    "seed-lstm": "seed_lstm.SeedLstm",
    "lstm-t": "lstm_t.LstmT",
    "lstm-skewt": "lstm_skewt.LstmSkewT",
    "lstm-q": "lstm_q.LstmQ",
    "lstm-attention": "lstm_attention.LstmAttention",
    "gru-t": "gru_t.GruT",
    "tcn-t": "tcn_t.TcnT",
}
COMBINERS: dict[str, str | type[Combiner]] = {
    "fusion": ".combine.Fusion",
    "calibrated": ".calibrate.Calibrated",
}


def register(model: type[Forecaster]) -> type[Forecaster]:
    """Make a model known by its `name`; usable as a class decorator.

    Raises:
        RecipeError: another model has that name.
    """
    if {**MODELS, **COMBINERS}.get(model.name, model) is not model:
        raise RecipeError(
            f"A model named {model.name!r} is registered already.",
            "A table would not say which one it shows.",
            "Choose another name.",
        )
    MODELS[model.name] = model
    return model


def model_named(name: str) -> type[Forecaster] | type[Combiner]:
    """The model's class.

    Raises:
        RecipeError: no model has that name.
    """
    models: dict[str, str | type[Forecaster] | type[Combiner]] = {**MODELS, **COMBINERS}
    if name not in models:
        close = difflib.get_close_matches(name, models, n=1)
        raise RecipeError(
            f"There is no model {name!r}.",
            "A run names its models so that it can be run again.",
            f"Did you mean {close[0]!r}?" if close else f"Choose among {', '.join(models)}.",
        )
    found = models[name]
    if isinstance(found, str):
        module, _, attribute = found.rpartition(".")
        found = getattr(import_module(f".{module}", __package__), attribute)
    return found
