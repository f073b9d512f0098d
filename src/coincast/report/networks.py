"""How the networks converged, in words and curves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from ..forecaster import History
from ..runs import Run
from .ranking import hues
from .style import Axis, Chart, Figure, Label, dots, line, scaffold


def histories(run: Run) -> dict[str, list[History]]:
    """Every refit's history, of the models that were trained step by step."""
    all_of = {walk.recipe.model.name: [f.history for f in walk.fitted if f.history is not None] for walk in run.walks}
    return {name: found for name, found in all_of.items() if found}


def curves(run: Run) -> list[Chart]:
    """Loss by epoch of each network's last refit: one thin line a seed, the median thick."""
    return [_curves(name, found[-1], hues(run)[name]) for name, found in histories(run).items()]


def _curves(name: str, history: History, hue: str) -> Chart:
    epochs = list(range(1, history.train.shape[1] + 1))
    kept = _at_best(history, history.validation)
    data = [
        *_swarm(epochs, history.train, "grey", "training"),
        *_swarm(epochs, history.validation, hue, "validation"),
        dots((history.best_epoch + 1).tolist(), kept.tolist(), f"{hue}-text", "kept", symbol="circle-open"),
    ]
    ends = [
        Label("training", _last(history.train), "muted"),
        Label("validation", _last(history.validation), f"{hue}-text"),
    ]
    losses = np.concatenate([history.train.ravel(), history.validation.ravel()])
    axis = Axis.of_prices(losses.tolist(), "loss")
    x: Figure = {"title": {"text": "epoch", "font": {"size": 12}, "standoff": 6}, "range": [0.5, len(epochs) + 0.5]}
    swarm = "Thin: one line a seed; thick: their median. " if len(history.train) > 1 else ""
    alternative = (
        f"Validation loss of {name}: {np.median(history.validation[:, 0]):.4g} after the first epoch,"
        f" {np.median(kept):.4g} at the weights kept."
    )
    layout = scaffold(270, axis, x, labels=ends, room=70)
    caption = f"{swarm}Rings: the weights kept. Drawn is the last refit."
    return Chart(f"training-{name}", data, layout, caption, alternative, name, hue)


def _swarm(epochs: list[int], losses: Float[np.ndarray, "member epoch"], hue: str, word: str) -> list[Figure]:
    quiet = {"hoverinfo": "skip"}
    members = losses if len(losses) > 1 else losses[:0]
    thin = [line(epochs, member.tolist(), f"{hue}-faint", word, width=0.75) | quiet for member in members]
    return [*thin, line(epochs, _median(losses).tolist(), hue, word, width=2.2)]


def _median(losses: Float[np.ndarray, "member epoch"]) -> Float[np.ndarray, " epoch"]:
    """Of the members still training; NaN where none is."""
    out = np.full(losses.shape[1], np.nan)
    going = np.isfinite(losses).any(axis=0)
    out[going] = np.nanmedian(losses[:, going], axis=0)
    return out


def _last(losses: Float[np.ndarray, "member epoch"]) -> float:
    middle = _median(losses)
    return float(middle[np.isfinite(middle)][-1])


def _at_best(history: History, losses: Float[np.ndarray, "member epoch"]) -> Float[np.ndarray, " member"]:
    return losses[np.arange(len(history.best_epoch)), history.best_epoch]


def convergence(run: Run) -> dict[str, str]:
    """How each model's networks learned, in words."""
    return {name: _in_words(found) for name, found in histories(run).items()}


def _in_words(found: Sequence[History]) -> str:
    best = np.concatenate([h.best_epoch for h in found]) + 1
    epochs = np.concatenate([np.isfinite(h.validation).sum(axis=1) for h in found])
    decays = np.concatenate([_decays(h) for h in found])
    stopped = np.concatenate([h.converged for h in found])
    first = np.median(np.concatenate([h.validation[:, 0] for h in found]))
    kept = np.median(np.concatenate([_at_best(h, h.validation) for h in found]))
    train = np.median(np.concatenate([_at_best(h, h.train) for h in found]))
    return (
        f"{_count(found)}. Best epoch {_range(best)}; training went on to epoch {_range(epochs)}, early stopping ended"
        f" {int(stopped.sum())} of {len(stopped)}. Falls of the learning rate: {_range(decays)}. Validation loss"
        f" {first:.3g} after the first epoch, {kept:.3g} at the weights kept, where the training loss was {train:.3g}."
    )


def _count(found: Sequence[History]) -> str:
    seeds, refits = len(found[0].best_epoch), len(found)
    if refits == seeds == 1:
        return "One network, trained once"
    networks = sum(len(h.best_epoch) for h in found)
    return f"{networks} networks: {refits} refit{'s' * (refits > 1)}, {seeds} seed{'s' * (seeds > 1)} each"


def _decays(history: History) -> np.ndarray:
    """How often each member's learning rate fell."""
    before, after = history.learning_rate[:, :-1], history.learning_rate[:, 1:]
    return np.sum(after < before * (1 - 1e-6), axis=1)


def _range(values: np.ndarray) -> str:
    low, middle, high = (int(v) for v in np.quantile(values, [0, 0.5, 1], method="nearest"))
    return str(low) if low == high else f"{middle} in the median ({low} to {high})"
