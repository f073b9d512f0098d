"""What the forecasts of a run are worth to somebody who acts on them, after costs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ..candles import Candles
from ..feed import from_numpy
from ..forecast import Forecast
from ..runs import Run
from ..truth import truth
from ..verdict import REFERENCES, Comparison
from .bands import Stop, Tail, stop, tails
from .break_even import BreakEven, break_even
from .costs import Costs
from .outcomes import Outcome, has_spread, outcomes, trials
from .sharpe import annual
from .words import sentences

SCHEMA = "coincast-value/1"


@dataclass(frozen=True)
class Worth:
    """The answer for one run and one set of costs.

    Args:
        candles: those of the run.
        horizon: intervals ahead: every allocation acts on the run's shortest.
        costs: what was paid.
        shown: the model the sentences speak of: the run's best in CRPS.
        outcomes: of every allocation tried.
        break_evens: of every model.
        tails: of every model with a distribution, at both levels.
        stops: of every such model.
    """

    candles: Candles
    horizon: int
    costs: Costs
    shown: str
    outcomes: tuple[Outcome, ...]
    break_evens: tuple[BreakEven, ...]
    tails: tuple[Tail, ...]
    stops: tuple[Stop, ...]

    @property
    def trials(self) -> int:
        """All combinations of model, allocation and horizon used that were tried, doing nothing left out."""
        return trials(self.outcomes)

    @property
    def sentences(self) -> list[str]:
        """The answer in plain words, the most important first."""
        return sentences(self.outcomes, self.break_evens, self.costs, self.shown)

    @property
    def sentence(self) -> str:
        """All of them."""
        return " ".join(self.sentences)

    def document(self) -> dict[str, Any]:
        """Every number as JSON would hold it; what is undefined is null. `docs/value.md` says what each is."""
        time = self.outcomes[0].account.time
        return {
            "schema": SCHEMA,
            "feed": str(self.candles.feed),
            "digest": self.candles.digest,
            "horizon": self.horizon,
            "bars": len(time),
            "first": from_numpy(time[0]).isoformat() if len(time) else None,
            "last": from_numpy(time[-1]).isoformat() if len(time) else None,
            "costs": {**asdict(self.costs), "one_way": self.costs.one_way},
            "trials": self.trials,
            "sentence": self.sentence,
            "allocations": [_outcome(one) for one in self.outcomes],
            "directions": [asdict(one) | {"pays": one.pays} for one in self.break_evens],
            "tails": [_tail(one) for one in self.tails],
            "stops": [asdict(one) for one in self.stops],
        }


def worth(run: Run, costs: Costs | None = None) -> Worth:
    """Act on every model of a run, at its shortest horizon, and judge what came of it.

    Args:
        run: a finished run.
        costs: what trading costs; the defaults of `Costs` if left out.
    """
    costs = costs or Costs()
    forecasts = [walk.forecast for walk in run.walks]
    spread = [f for f in forecasts if has_spread(f)]
    reference = next((f for f in spread if f.model == REFERENCES[0]), None)
    return Worth(
        candles=run.candles,
        horizon=forecasts[0].horizons[0],
        costs=costs,
        shown=run.chosen.recipe.model.name,
        outcomes=tuple(outcomes(forecasts, run.candles, costs)),
        break_evens=tuple(_break_even(f, run.candles, costs) for f in forecasts),
        tails=tuple(tail for f in spread for tail in tails(f, run.candles, None if f is reference else reference)),
        stops=tuple(stop(f, run.candles) for f in spread),
    )


def _break_even(forecast: Forecast, candles: Candles, costs: Costs) -> BreakEven:
    happened = truth(forecast, candles)[:, 0]
    return break_even(forecast.model, forecast.horizons[0], happened, forecast.median[:, 0], costs)


def _outcome(one: Outcome) -> dict[str, Any]:
    account, interval = one.account, one.account.interval
    sharpe, lead = account.sharpe, one.lead
    return {
        "allocation": one.allocation,
        "model": one.model,
        "gain": account.gain,
        "annual_return": account.annual_return,
        "volatility": account.volatility,
        "max_drawdown": account.max_drawdown,
        "sharpe": annual(sharpe.ratio, interval) if sharpe else None,
        "sharpe_error": annual(sharpe.error, interval) if sharpe else None,
        "probabilistic_sharpe": one.probabilistic_sharpe,
        "deflated_sharpe": one.deflated_sharpe,
        "sharpe_lead": annual(lead.difference, interval) if lead else None,
        "sharpe_lead_p": one.lead_p,
        "timing_p": one.timing_p,
        "turnover": account.turnover,
        "paid": account.paid,
        "exposure": account.exposure,
        "trades": account.trades,
        "hit_rate": account.hit_rate,
        "break_even_cost": account.break_even_cost,
        "beats_nothing": one.beats_nothing,
        "beats_holding": one.beats_holding,
        "lag": asdict(one.lag) | {"flagged": one.lag.flagged},
    }


def _tail(one: Tail) -> dict[str, Any]:
    held, against = one.held, one.against
    return {
        "model": one.model,
        "level": one.level,
        "n": held.n,
        "share": None if held.share is None else 1 - held.share,
        "low": None if held.high is None else 1 - held.high,
        "high": None if held.low is None else 1 - held.low,
        "kupiec_p": held.kupiec_p,
        "christoffersen_p": held.christoffersen_p,
        "expected_shortfall": one.expected,
        "realised_shortfall": one.realised,
        "fz0": one.fz0,
        "fz0_against": None if against is None else _comparison(against),
    }


def _comparison(against: Comparison) -> dict[str, Any]:
    return {"reference": REFERENCES[0], "t": against.t, "p": against.p_better, "n": against.n}
