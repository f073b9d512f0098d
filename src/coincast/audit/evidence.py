"""What the forecasts are worth by the audit's own scores, and whether they bear out what is claimed of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from ..candles import Candles
from ..feed import from_numpy
from ..predictions import MEDIAN, SAME_TRUTH, Predictions
from ..truth import closes_at
from ..verdict import ENOUGH_ORIGINS, SIGNIFICANCE, Comparison, diebold_mariano
from .declarations import CLAIMS
from .findings import Finding

if TYPE_CHECKING:
    from ..appraisal import Appraisal, Standing

# What no honest forecast of such prices has shown: so much less error than "no change", so much less CRPS than GARCH,
# so often the right direction. Beyond it, and beyond all chance, a gain is a leak until it is explained.
MOST_GAIN = 0.03
MOST_DIRECTION = 0.55
BEYOND_CHANCE = 0.001
# A claim may be rounded.
ROUNDED = 0.05
# Forecasts further from the last price than this factor are in some other unit; a model may be wrong by less.
FAR_OFF = 100.0
# What is scaled to 0..1, standardised or a return is no larger, most of it.
SCALED = 2.0
# A path over so many bars wants a band.
LONG_PATH = 7
# Of the truths stated, no more than this share may differ from the closes.
FEW = 0.01


def origin_prices(predictions: Predictions, candles: Candles) -> Float[np.ndarray, " forecast"]:
    """The close each forecast started from; NaN where no bar closes then."""
    return closes_at(predictions.origin, candles, observed=False)


def actual_prices(predictions: Predictions, candles: Candles) -> Float[np.ndarray, " forecast"]:
    """The close each forecast is about; NaN where it is not known or was not observed."""
    return closes_at(predictions.target_time, candles, observed=True)


def form(predictions: Predictions, candles: Candles) -> list[Finding]:
    """What is wrong with forecasts before they are scored: their unit, their targets, the truths stated with them."""
    found = []
    if not np.isfinite(origin_prices(predictions, candles)).any():
        says = f"None of its {len(predictions):,} forecasts starts from a bar of the candles it was handed."
        return [Finding("nonsense", says)]
    known = predictions.horizon < 1
    if known.any():
        origin = from_numpy(predictions.origin[known].min())
        says = f"{int(known.sum()):,} of {len(known):,} forecasts name a bar that had closed at their origin."
        found.append(Finding("target known already", says, origin))
    return found + _truths(predictions, candles) + _path(predictions)


def unit(
    predictions: Sequence[Predictions], candles: Candles, other: Sequence[Predictions], elsewhere: Candles
) -> list[Finding]:
    """Whether forecasts are prices: near these, and dearer where all prices are.

    Args:
        predictions: of the candles.
        candles: as they are.
        other: of another market; empty if there is no answer about it.
        elsewhere: that market, far dearer.
    """
    said, price = _size(predictions, candles)
    said_there, price_there = _size(other, elsewhere) if other else (np.nan, np.nan)
    near = 1 / FAR_OFF < said / price < FAR_OFF
    stays = abs(np.log(said_there / said)) < np.log(price_there / price) / 2
    # Weights of a saved model stay where they are too; what is scaled or a return is also small.
    if not np.isfinite(price) or (near and not (stays and said < SCALED)):
        return []
    says = f"The forecasts lie about {said:.4g} where the price is about {price:,.4g} {candles.feed.quote}"
    there = f", and about {said_there:.4g} where it is {price_there:,.4g}" if other else ""
    return [Finding("not prices", f"{says}{there}.")]


def _size(predictions: Sequence[Predictions], candles: Candles) -> tuple[float, float]:
    """How large forecasts are without their sign, and the prices they started from; medians."""
    said = np.concatenate([np.abs(one.point) for one in predictions])
    price = np.concatenate([origin_prices(one, candles) for one in predictions])
    here = np.isfinite(price)
    if not here.any():
        return np.nan, np.nan
    return float(np.median(np.maximum(said[here], np.finfo(float).tiny))), float(np.median(price[here]))


def _truths(predictions: Predictions, candles: Candles) -> list[Finding]:
    if predictions.stated is None:
        return []
    closes = actual_prices(predictions, candles)
    both = np.isfinite(closes) & np.isfinite(predictions.stated)
    other = both & (np.abs(predictions.stated / closes - 1) > SAME_TRUTH)
    if not both.any() or other.sum() <= FEW * both.sum():
        return []
    step = candles.feed.interval.step
    shifts = [shift for shift in range(-3, 4) if shift and _matches(predictions, candles, both, shift * step)]
    where = f" They are the closes {abs(shifts[0])} bars {'later' if shifts[0] > 0 else 'earlier'}." if shifts else ""
    says = f"{int(other.sum()):,} of {int(both.sum()):,} stated truths are not the close at their target.{where}"
    return [Finding("truth misplaced", says, from_numpy(predictions.origin[other].min()))]


def _matches(
    predictions: Predictions, candles: Candles, rows: Bool[np.ndarray, " forecast"], shift: np.timedelta64
) -> bool:
    if predictions.stated is None:
        return False
    closes = closes_at(predictions.target_time + shift, candles, observed=False)
    same = np.abs(predictions.stated / closes - 1) < SAME_TRUTH
    return bool(same[rows & np.isfinite(closes)].mean() > 1 - FEW)


def _path(predictions: Predictions) -> list[Finding]:
    origins = np.unique(predictions.origin)
    longest = int(predictions.horizon.max())
    found = []
    if len(origins) < LONG_PATH and longest >= LONG_PATH and predictions.levels == (MEDIAN,):
        count = "one origin" if len(origins) == 1 else f"{len(origins)} origins"
        says = f"{longest} bars ahead from {count}, one number a bar and no band."
        found.append(Finding("one path without bands", says, from_numpy(origins[0])))
    if len(origins) < ENOUGH_ORIGINS:
        says = f"It forecasts from {len(origins):,} origins; under {ENOUGH_ORIGINS} skill cannot be told from luck."
        found.append(Finding("too few forecasts", says))
    return found


class Beside(NamedTuple):
    """Point forecasts beside "no change", at their shortest horizon, in log-returns.

    Args:
        absolute: the comparison of absolute errors.
        squared: that of squared errors.
        ratio: mean absolute error over that of "no change"; None if the price never moved.
    """

    absolute: Comparison
    squared: Comparison
    ratio: float | None

    @property
    def skilled(self) -> bool:
        """Whether it is nearer than "no change" by either error, beyond chance."""
        return any(one.p_better is not None and one.p_better < SIGNIFICANCE for one in (self.absolute, self.squared))


def beside_no_change(predictions: Predictions, candles: Candles) -> Beside:
    """Compare the point forecasts with the last price."""
    horizon = int(predictions.horizon.min())
    start, end = origin_prices(predictions, candles), actual_prices(predictions, candles)
    kept = (predictions.horizon == horizon) & np.isfinite(start) & np.isfinite(end) & (predictions.point > 0)
    order = np.argsort(predictions.origin[kept], kind="stable")
    own = np.abs(np.log(predictions.point[kept] / end[kept]))[order]
    still = np.abs(np.log(start[kept] / end[kept]))[order]
    total, ahead = float(still.sum()), max(horizon, 1)
    return Beside(
        absolute=diebold_mariano(own, still, ahead),
        squared=diebold_mariano(own**2, still**2, ahead),
        ratio=float(own.sum()) / total if total else None,
    )


def in_a_random_walk(predictions: Sequence[Predictions], candles: Candles) -> list[Finding]:
    """Skill on a market in which there is none to be had."""
    found = []
    for one in predictions:
        beside = beside_no_change(one, candles)
        if beside.ratio is not None and beside.ratio < 1 and _certain(beside.absolute):
            times = f"{beside.ratio:.2f} times those of 'no change' ({_t(beside.absolute)})"
            found.append(Finding("skill where there is none", f"On a random walk its errors are {times}."))
    return found


def worth(appraisal: Appraisal, predictions: Predictions, claims: Mapping[str, float]) -> list[Finding]:
    """What the scores say of one model's forecasts, and of what is claimed of them."""
    standings = [one for one in appraisal.standings if one.model == predictions.model]
    if not standings:
        return []
    first = min(standings, key=lambda one: one.horizon)
    beside = beside_no_change(predictions, appraisal.candles)
    found = _too_good(first, beside, appraisal)
    # Quantiles around an unmoved median make no claim on the price.
    still = np.allclose(predictions.point, origin_prices(predictions, appraisal.candles), rtol=1e-3, equal_nan=True)
    if not beside.skilled and not still and first.rmse_ratio is not None:
        chance = ", within chance" if first.rmse_ratio < 1 else ""
        says = (
            f"Its RMSE is {first.rmse_ratio:.2f} times that of 'no change'{chance}; an R2 of {_number(first.r2)} beside"
        )
        found.append(Finding("no skill beside no change", f"{says} {_number(first.r2_naive)} for 'no change'."))
    found += _bands(standings)
    return found + _claimed(first, claims, skilled=beside.skilled)


def _too_good(first: Standing, beside: Beside, appraisal: Appraisal) -> list[Finding]:
    said = []
    if beside.ratio is not None and beside.ratio < 1 - MOST_GAIN and _certain(beside.absolute):
        said.append(f"its errors are {beside.ratio:.2f} times those of 'no change' ({_t(beside.absolute)})")
    right = first.direction
    if right and right.share > MOST_DIRECTION and right.p < BEYOND_CHANCE and right.beyond_chance:
        said.append(f"the direction is right {100 * right.share:.0f} % of the time")
    skill = first.crps_skill.get("garch-t", 0.0)
    verdict = next(v for v in appraisal.verdicts if v.model == first.model and v.horizon == first.horizon)
    if skill > MOST_GAIN and verdict.comparison and _certain(verdict.comparison):
        said.append(f"its quantile loss is {100 * skill:.1f} % below that of garch-t")
    words = "; ".join(said)
    return [Finding("too good to be true", f"{words[0].upper()}{words[1:]}.")] if said else []


def _bands(standings: Sequence[Standing]) -> list[Finding]:
    found = []
    for one in standings:
        for band, held in one.coverage.items():
            if held.kupiec_p is not None and held.kupiec_p < BEYOND_CHANCE and held.share is not None:
                says = f"{100 * held.share:.1f} % of the outcomes lie in the {band} % band ({one.horizon} ahead)."
                found.append(Finding("bands do not hold", says))
    return found


def _claimed(first: Standing, claims: Mapping[str, float], *, skilled: bool) -> list[Finding]:
    reached = {
        "rmse": first.rmse,
        "mae": first.mae,
        "mape": first.mape,
        "r2": first.r2,
        "direction": first.direction.share if first.direction else None,
    }
    found = []
    for name, claim in claims.items():
        have = reached[name]
        if have is None or _flatters(name, claim, have):
            says = f"{name} {claim:.4g} is claimed; these forecasts reach {_number(have)}."
            found.append(Finding("claim not borne out", says))
    level = [name for name in claims if name != "direction"]
    if level and not skilled:
        named = " and ".join(f"{name} {claims[name]:.4g}" for name in level)
        found.append(Finding("claim says nothing", f"{named}: 'no change' has {_no_change(first)}."))
    return found


def _flatters(name: str, claim: float, have: float) -> bool:
    """Whether a claim is better than what is there by more than rounding."""
    if name == "direction":
        return claim > have + 0.005
    if CLAIMS[name]:
        return claim > have + ROUNDED * max(1 - have, 0.0) + 0.005
    return claim < have * (1 - ROUNDED)


def _no_change(first: Standing) -> str:
    said = []
    if first.rmse_ratio:
        said.append(f"rmse {first.rmse / first.rmse_ratio:.4g}")
    if first.r2_naive is not None:
        said.append(f"r2 {first.r2_naive:.4g}")
    return " and ".join(said) or "no error"


def _certain(compared: Comparison) -> bool:
    return compared.p_better is not None and compared.p_better < BEYOND_CHANCE


def _t(compared: Comparison) -> str:
    return f"Diebold-Mariano t {compared.t:.1f}" if compared.t is not None else "no variation"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"
