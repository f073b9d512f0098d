"""Registered models with settings that make a fit quick. One that is not named here is taken as it is."""

from coincast.forecaster import Forecaster
from coincast.models import model_named

QUICK = {
    "garch-t": {"simulations": 200},
    "gjr-skewt": {"simulations": 200},
    "egarch-skewt": {"simulations": 200},
    "boosted-q": {"trees": 5},
    "seed-lstm": {"epochs": 2},
    "lstm-t": {"epochs": 2, "units": 4, "scored": 16},
}


def quick(name: str) -> Forecaster:
    return model_named(name)(**QUICK.get(name, {}))
