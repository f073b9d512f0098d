"""Registered models with settings that make a fit quick. One that is not named here is taken as it is."""

from coincast.backtest import Walk
from coincast.combiner import Combiner
from coincast.forecaster import Forecaster
from coincast.models import model_named

QUICK = {
    "garch-t": {"simulations": 200},
    "gjr-skewt": {"simulations": 200},
    "egarch-skewt": {"simulations": 200},
    "boosted-q": {"trees": 5},
    "seed-lstm": {"epochs": 2},
    "lstm-t": {"epochs": 2, "units": 4, "scored": 16},
    "lstm-attention": {"epochs": 2, "units": 4, "scored": 16},
    "lstm-skewt": {"epochs": 2, "units": 4, "scored": 16},
    "lstm-q": {"epochs": 2, "units": 4, "scored": 16},
    "gru-t": {"epochs": 2, "units": 4, "scored": 16},
    "tcn-t": {"epochs": 2, "units": 4, "scored": 16},
    "fusion": {"members": ("ewma-t", "har-t")},
    "calibrated": {"member": "har-t"},
}
# They learn and forecast by the functions of `lstm-t`, and each costs a compilation in every process: the contract of
# two of them is tested every day, what costs many walks is not done for each.
LIKE_LSTM_T = {"lstm-skewt", "lstm-q", "lstm-attention", "gru-t", "tcn-t"}


def quick(name: str) -> Forecaster | Combiner:
    return model_named(name)(**QUICK.get(name, {}))


def is_dear(walk: Walk) -> bool:
    """Whether networks were trained for it."""
    return any(fitted.history for fitted in walk.fitted)
