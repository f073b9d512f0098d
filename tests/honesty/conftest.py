"""Every model walked through one market: dear enough to be done once for all tests here."""

from dataclasses import dataclass
from datetime import datetime

import pytest
from quick import LIKE_LSTM_T, quick

from coincast.backtest import Walk, backtest
from coincast.candles import Candles
from coincast.feed import from_numpy
from coincast.models import COMBINERS, MODELS
from coincast.recipe import Recipe
from coincast.testing import market

BARS, TEST_BAR, PACE = 640, 420, 80


@dataclass(frozen=True)
class Walked:
    candles: Candles
    recipes: list[Recipe]
    walks: list[Walk]

    @property
    def start(self) -> datetime:
        return from_numpy(self.candles.known_at[TEST_BAR])


@pytest.fixture(scope="session")
def walked() -> Walked:
    candles = market(BARS)
    names = [name for name in (*MODELS, *COMBINERS) if name not in LIKE_LSTM_T]
    recipes = [Recipe(quick(name), horizons=(1, 3), refit_every=PACE, seeds=(0, 1)) for name in names]
    return Walked(candles, recipes, backtest(recipes, candles, from_numpy(candles.known_at[TEST_BAR])))
