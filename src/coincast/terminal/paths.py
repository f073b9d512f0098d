"""Questions about the way, in plain words: is a price touched, how far does it fall from its highest close."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import RenderableType

from ..feed import from_numpy
from ..paths import Paths
from .marks import bare, price


def questions_document(paths: Paths, levels: Sequence[float], depths: Sequence[float]) -> dict[str, Any]:
    """The answers from the first origin: by horizon, and the words of each question over the whole way.

    Raises:
        DataError: a level is not a price or a depth not a fraction.
    """
    low, middle, high = np.quantile(paths.maximum_drawdown(paths.bars)[0], (0.1, 0.5, 0.9), method="hazen").tolist()
    return {
        "until": from_numpy(paths.origin[0] + paths.bars * paths.feed.interval.step).isoformat(),
        "touch": [_touch(paths, level) for level in levels],
        "drawdown": [_drawdown(paths, depth) for depth in depths],
        "maximum_drawdown": {"median": middle, "lo80": low, "hi80": high},
    }


def _touch(paths: Paths, level: float) -> dict[str, Any]:
    side = "above" if level > paths.price[0] else "below"
    closes, anywhere = (
        {str(h): float(paths.touch(level, h, anywhere=how)[0]) for h in range(1, paths.bars + 1)}
        for how in (False, True)
    )
    change = 100 * (level / paths.price[0] - 1)
    words = f"{price(level)} {paths.feed.quote} or {side} ({change:+.1f} %)"
    return {"level": level, "question": words, "at_a_close": closes, "at_any_time": anywhere}


def _drawdown(paths: Paths, depth: float) -> dict[str, Any]:
    closes = {str(h): float(paths.drawdown(depth, h)[0]) for h in range(1, paths.bars + 1)}
    return {"depth": depth, "question": f"{100 * depth:g} % or more under the highest close", "at_a_close": closes}


def questions(document: dict[str, Any]) -> RenderableType:
    """What `questions_document` holds, as a table over the whole way."""
    table = bare(f"How likely, on the way to {document['until'][:16].replace('T', ' ')} UTC")
    for name in ("a price of", "at a close", "at any time"):
        table.add_column(name, justify="left" if name == "a price of" else "right", no_wrap=True)
    for asked in (*document["touch"], *document["drawdown"]):
        table.add_row(asked["question"], _last(asked["at_a_close"]), _last(asked.get("at_any_time", {})))
    ends = document["maximum_drawdown"]
    table.caption = (
        f"The deepest fall from the highest close: {_percent(ends['median'])} in the middle, 80 % lie in"
        f" {_percent(ends['lo80'])} to {_percent(ends['hi80'])}. At any time: an approximation."
    )
    table.caption_justify = "left"
    return table


def _last(by_horizon: dict[str, float]) -> str:
    return _percent([*by_horizon.values()][-1]) if by_horizon else ""


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
