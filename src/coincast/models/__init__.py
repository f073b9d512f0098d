"""One file a model: where it comes from, its settings, what it learns, how it forecasts."""
