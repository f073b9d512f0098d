"""coincast: honest forecasts of cryptocurrency prices, from candles to a verdict."""
