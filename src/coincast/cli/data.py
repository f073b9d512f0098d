"""Commands that bring and play candles: fetch, replay."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import RecipeError
from .options import OUTSIDE_FOLDER, STORE, Json, StoreFolder, day, expand
from .printing import interruptible, lines, progress, show, stack, table
from .source import Source

if TYPE_CHECKING:
    from ..exchanges.exchange import Exchange
    from ..external import Series


def fetch(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Feeds such as binance:BTC/USDT:1h, or outside series."),
    ] = None,
    folder: StoreFolder = STORE,
    since: Annotated[str | None, typer.Option("--since", help="First day; the listing if left out.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Last day, itself included; now if left out.")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on, storing each bar as it closes.")] = False,
    coin: Annotated[str, typer.Option("--coin", help="Whose, of an outside series that each coin has.")] = "BTC",
    replay: Annotated[int | None, typer.Option("--replay", help="Port of a running `coincast replay` to ask.")] = None,
    speed: Annotated[float, typer.Option("--speed", help="How fast that replay runs.")] = 1.0,
    listed: Annotated[bool, typer.Option("--list", help="What can be fetched: depth, lag, licence.")] = False,
    json: Json = False,
) -> None:
    """Bring candles or outside series into the store; interrupted, go on where it stopped."""
    if listed:
        _list(json)
        return
    if not names or (follow and len(names) > 1):
        raise RecipeError(
            f"{len(names or ())} names are given.",
            "Any number of feeds can be fetched, and one be followed.",
            "Name a feed such as binance:BTC/USDT:1h; --list tells what there is.",
        )
    first, last = day(since) if since else None, day(until, last=True) if until else None
    if first and last and first >= last:
        raise RecipeError(
            f"--since {since} is not before the end of --until {until}.", "No bar lies between.", "Exchange the two."
        )
    with interruptible("Interrupted. What came is stored: the same command goes on from there."):
        done = [
            _candles(name, folder, first, last, _exchange(name, replay, speed), follow=follow, quiet=json)
            if ":" in name
            else _outside(name, coin, folder)
            for name in names
        ]
    show(lines(said for _, said in done), [document for document, _ in done], json)


def _candles(
    name: str,
    folder: Path,
    since: datetime | None,
    until: datetime | None,
    exchange: Callable[[], Exchange],
    *,
    follow: bool,
    quiet: bool,
) -> tuple[dict[str, Any], str]:
    from .. import fetching
    from ..feed import Feed
    from ..store import Store

    feed, store = Feed.parse(name), Store(folder)
    with progress("fetch", quiet=quiet) as monitor:
        done = fetching.fetch(feed, store, since, None if follow else until, exchange=exchange(), monitor=monitor)
        if follow:
            done = fetching.follow(feed, store, until, exchange=exchange(), monitor=monitor)
    held = done.snapshot
    document = {
        "feed": name,
        "new": done.new,
        "missing": done.missing,
        "refused": dict(done.refused),
        "snapshot": held.number,
        "rows": held.rows,
        "notes": list(done.notes),
    }
    refused = "".join(f" {count:,} rows were refused: {reason}." for reason, count in done.refused.items())
    said = (
        f"{name}: {done.new:,} new, {done.missing:,} missing at the exchange.{refused}"
        f" Snapshot {held.number} holds {held.rows:,} rows in {store.folder(feed)}."
    )
    return document, "\n".join([said, *(f"  {note}" for note in done.notes)])


def _outside(name: str, coin: str, folder: Path) -> tuple[dict[str, Any], str]:
    from ..external import Archive, fetch

    done = fetch(name, Archive(folder / OUTSIDE_FOLDER), coin)
    last = done.outside.frame["ended_at"][-1]
    rows = done.outside.frame.height
    document = {"series": name, "new": done.added, "rows": rows, "last": last.isoformat(), "notes": list(done.notes)}
    said = f"{name}: {done.added:,} new, the last of {last:%Y-%m-%d %H:%M} UTC."
    return document, "\n".join([said, *(f"  {note}" for note in done.notes)])


def _exchange(name: str, replay: int | None, speed: float) -> Callable[[], Exchange]:
    """How to reach a feed's exchange, or the replay that plays it."""

    def reach() -> Exchange:
        from ..exchanges.exchange import CcxtExchange
        from ..feed import Feed

        exchange = Feed.parse(name).exchange
        if replay is None:
            return CcxtExchange(exchange)
        from ..exchanges.replay import urls

        _demand_replay(replay, speed)
        played = urls(replay)
        if exchange not in played:
            raise RecipeError(
                f"The replay does not speak for {exchange}.",
                "It answers in the formats of some exchanges only.",
                f"Name a feed of {' or '.join(played)}.",
            )
        return CcxtExchange(exchange, played[exchange], speed)

    return reach


def _demand_replay(port: int, speed: float) -> None:
    """Refuse a replay that is not there, before anyone asks it for minutes on end."""
    import socket

    if not 0 <= speed < math.inf:
        raise RecipeError(f"--speed is {speed}.", "A clock runs forwards.", "Give the speed that the replay said.")
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except (OSError, OverflowError) as error:
        raise RecipeError(
            f"No replay listens on port {port} ({error}).",
            "There is nobody to ask.",
            "Start it in another terminal: coincast replay --port PORT.",
        ) from None


def _list(as_json: bool) -> None:
    from ..exchanges.venues import VENUES
    from ..external import OUTSIDE, REFUSED

    venues = [
        {
            "exchange": venue.name,
            "bars": ", ".join(venue.intervals),
            "history": venue.past,
            "live": venue.live,
        }
        for venue in VENUES.values()
    ]
    series = [
        {
            "series": one.name,
            "says": one.says,
            "source": one.source,
            "lag_hours": one.lag.total_seconds() / 3600,
            "restated": one.revised,
            "licence": one.licence,
        }
        for one in OUTSIDE.values()
    ]
    described = [{"series": one.name, "": _described(one)} for one in OUTSIDE.values()]
    more = "Any other exchange that ccxt knows can be asked as well."
    refused = [f"{name} is refused: {why}" for name, why in REFUSED.items()]
    text = stack([table(venues, whole=("exchange",)), more, table(described, whole=("series",)), *refused])
    show(text, {"exchanges": venues, "outside": series, "refused": dict(REFUSED)}, as_json)


def _described(series: Series) -> str:
    restated = "; restated later" if series.revised else ""
    return f"{series.says}. {series.source}, public {series.delay} after{restated}. Terms: {series.licence}."


@expand
def replay(
    source: Source,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Where to listen; 0 for a free one.")] = 8765,
    start: Annotated[
        str | None, typer.Option("--start", help="Where its clock begins; late in the candles if left out.")
    ] = None,
    speed: Annotated[float, typer.Option("--speed", help="How fast its clock runs.")] = 1.0,
    fault: Annotated[
        list[str] | None, typer.Option("--fault", help="What goes wrong how often, such as 429=0.1.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the faults.")] = 0,
) -> None:
    """Play candles back as an exchange on this machine would tell them, until Ctrl-C."""
    from ..exchanges.faults import Faults
    from ..exchanges.replay import Replay, run_forever

    cleaned, _ = source.load()
    played = Replay([cleaned.candles], day(start) if start else None, speed, Faults.parse(fault or (), seed))
    run_forever(played, port, typer.echo)
