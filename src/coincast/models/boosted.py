"""Gradient-boosted trees, one forest a quantile: what a practitioner would try first.

The target is the return in units of a causal volatility, so that trees, which cannot extrapolate, need not. Quantiles
between the levels that are learnt are read off a line in units of a Student-t's quantiles, and so are those beyond.

G. Ke et al., "LightGBM: a highly efficient gradient boosting decision tree", NeurIPS 30 (2017); R. Koenker and G.
Bassett, "Regression quantiles", Econometrica 46 (1978).
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from jaxtyping import Float

from ..errors import RecipeError
from ..forecast import LEVELS
from ..forecaster import Fit, State, Watch
from ..space import Choice, Range, Space
from ..student_t import quantiles
from ..windows import Windows
from .scaled import INPUTS, REMEMBERED, expected_move, lessons

if TYPE_CHECKING:
    import lightgbm

LEARNT = np.array([0.02, 0.1, 0.25, 0.4, 0.5, 0.6, 0.75, 0.9, 0.98])
# Of the Student-t between whose quantiles lines are drawn.
DOF = 4.0


@dataclass(frozen=True)
class BoostedQ:
    """LightGBM's quantile regression on the inputs of `linear-t`.

    Args:
        volatility: the feature that returns are divided by, per bar.
        inputs: the features that trees divide by.
        half_life: days in which a past origin loses half its weight.
        trees: of each forest.
        leaves: of each tree.
        rate: learning rate.
        leaf: origins without which no leaf is made.
        share: of the features and of the origins that each tree sees.
    """

    name: ClassVar[str] = "boosted-q"
    space: ClassVar[Space] = {
        "trees": Choice((30, 60, 120, 240)),
        "leaves": Choice((2, 4, 8, 16)),
        "rate": Range(0.01, 0.2, log=True),
        "leaf": Choice((25, 50, 100, 200, 400)),
        "half_life": Range(100.0, 10_000.0, log=True),
    }
    volatility: str = "volatility_mix"
    inputs: tuple[str, ...] = (*INPUTS, *REMEMBERED)
    half_life: float = 1000.0
    trees: int = 60
    leaves: int = 4
    rate: float = 0.03
    leaf: int = 100
    share: float = 0.5
    lookback: int = 1
    at_least: int = 1
    refit_days: int | None = None

    @property
    def features(self) -> tuple[str, ...]:
        """What corrects, and the volatility last."""
        return (*self.inputs, self.volatility)

    def fit(self, fold: Windows, seeds: Sequence[int], watch: Watch) -> Fit:
        """A forest for each horizon and level.

        Raises:
            RecipeError: LightGBM is not installed.
        """
        fold.demand_settled()
        rows, z, weights = lessons(fold, self.half_life)
        state = {}
        for column, horizon in enumerate(fold.horizons):
            known = np.isfinite(z[:, column])
            for number, level in enumerate(LEARNT):
                forest = self._forest(rows[known, :-1], z[known, column], weights[known], level, seeds[0])
                state[f"{column}/{number}"] = np.frombuffer(forest.model_to_string().encode(), dtype=np.uint8)
            watch(column + 1, len(fold.horizons), f"{horizon} ahead")
        return Fit(state)

    def _forest(
        self,
        inputs: Float[np.ndarray, "row input"],
        z: Float[np.ndarray, " row"],
        weights: Float[np.ndarray, " row"],
        level: float,
        seed: int,
    ) -> lightgbm.Booster:
        library = _lightgbm()
        settings = {
            "objective": "quantile",
            "alpha": level,
            "num_leaves": self.leaves,
            "learning_rate": self.rate,
            "min_data_in_leaf": self.leaf,
            "feature_fraction": self.share,
            "bagging_fraction": self.share,
            "bagging_freq": 1,
            "seed": seed,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": 1,
            "verbosity": -1,
        }
        booster: lightgbm.Booster = library.train(settings, library.Dataset(inputs, z, weight=weights), self.trees)
        return booster

    def predict(self, state: State, windows: Windows) -> Float[np.ndarray, "window horizon K"]:
        """The forests' quantiles, brought into order, and what lies between and beyond them."""
        library = _lightgbm()
        rows = windows.rows[windows.last]
        out = np.empty((len(windows), len(windows.horizons), len(LEVELS)))
        for column in range(len(windows.horizons)):
            forests = [library.Booster(model_str=_text(state[f"{column}/{number}"])) for number in range(len(LEARNT))]
            told = np.stack([forest.predict(rows[:, :-1]) for forest in forests], axis=1)
            out[:, column] = _spread(np.sort(told, axis=1))
        return out * expected_move(rows[:, -1], windows.horizons)[:, :, None]


def _spread(told: Float[np.ndarray, "window level"]) -> Float[np.ndarray, "window K"]:
    """All quantiles from those learnt: straight lines over the quantiles of a Student-t, the outer ones continued."""
    at, all_ = (quantiles(np.array([DOF]), levels)[0] for levels in (LEARNT, LEVELS))
    left = np.clip(np.searchsorted(at, all_) - 1, 0, len(at) - 2)
    share = (all_ - at[left]) / (at[left + 1] - at[left])
    return np.asarray(told[:, left] + share * (told[:, left + 1] - told[:, left]))


def _text(stored: np.ndarray) -> str:
    return stored.tobytes().decode()


def _lightgbm() -> ModuleType:
    try:
        return importlib.import_module("lightgbm")
    except ImportError as error:
        raise RecipeError(
            "The package lightgbm is not installed.",
            "boosted-q is made of its trees.",
            "Install coincast[trees].",
        ) from error
