"""coincast: honest forecasts of cryptocurrency prices, from candles to a verdict.

    >>> from datetime import timedelta
    >>> from coincast import load, recipes
    >>> from coincast.backtest import backtest
    >>> candles = load("btc-1d").candles
    >>> [walk] = backtest(recipes(["naive"]), candles, candles.end - timedelta(days=30))
    >>> len(walk.forecast)
    31

Each name is imported when it is first used, so that `import coincast` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .backtest import Walk as Walk
    from .candles import Candles as Candles
    from .clean import Cleaned as Cleaned
    from .errors import CoincastError as CoincastError
    from .features import Feature as Feature
    from .feed import Feed as Feed
    from .feed import Interval as Interval
    from .fetching import fetch as fetch
    from .files import read as read
    from .fitted import Fitted as Fitted
    from .fitted import fit as fit
    from .fitted import predict as predict
    from .forecast import Forecast as Forecast
    from .forecaster import Fit as Fit
    from .forecaster import Forecaster as Forecaster
    from .models import register as register
    from .panel import Panel as Panel
    from .quality import examine as examine
    from .recipe import Recipe as Recipe
    from .recipe import recipes as recipes
    from .runs import Run as Run
    from .runs import walk as walk
    from .sample import load as load
    from .scores import score as score
    from .store import Store as Store
    from .summaries import summarise as summarise
    from .verdict import judge as judge

_HOMES = {
    "Candles": "candles",
    "Cleaned": "clean",
    "CoincastError": "errors",
    "Feature": "features",
    "Feed": "feed",
    "Fit": "forecaster",
    "Fitted": "fitted",
    "Forecast": "forecast",
    "Forecaster": "forecaster",
    "Interval": "feed",
    "Panel": "panel",
    "Recipe": "recipe",
    "Run": "runs",
    "Store": "store",
    "Walk": "backtest",
    "examine": "quality",
    "fetch": "fetching",
    "fit": "fitted",
    "judge": "verdict",
    "load": "sample",
    "predict": "fitted",
    "read": "files",
    "recipes": "recipe",
    "register": "models",
    "score": "scores",
    "summarise": "summaries",
    "walk": "runs",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    return found


def __dir__() -> list[str]:
    return sorted(_HOMES)
