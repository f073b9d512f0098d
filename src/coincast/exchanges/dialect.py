"""The language of one exchange: which addresses it answers, in which form, and what its streams say."""

from __future__ import annotations

import json
from collections.abc import Mapping, Set
from typing import NamedTuple, Protocol

from .market import Bar
from .tape import Topic

Query = Mapping[str, str]
Message = Mapping[str, object]


class Answer(NamedTuple):
    """A response to a request."""

    status: int
    text: str
    headers: Mapping[str, str]
    content_type: str = "application/json"


def answer(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """A response with a JSON body."""
    return Answer(status, json.dumps(body, separators=(",", ":")), headers or {})


class Stream(Protocol):
    """One WebSocket connection, as the exchange holds it."""

    @property
    def topics(self) -> Set[Topic]:
        """What the client follows."""

    def greet(self) -> list[Message]:
        """What is said when a client connects."""

    def hear(self, text: str) -> list[Message]:
        """What is replied to a client's message, which may change the topics."""

    def tell(self, topic: Topic, bar: Bar, now: int, *, closed: bool) -> Message:
        """A bar as it stands."""

    def idle(self) -> list[Message]:
        """What is said where there is nothing to say."""


class Dialect(Protocol):
    """How one exchange speaks.

    Its addresses begin with the name of the real host, so that a client needs no change but `http://127.0.0.1:8765/`
    in place of `https://`.
    """

    @property
    def name(self) -> str:
        """The exchange, as ccxt names it."""

    @staticmethod
    def urls(root: str) -> dict[str, object]:
        """What a ccxt client of the exchange takes as `urls`; `root` is host and port."""

    @staticmethod
    def addresses(root: str) -> tuple[str, ...]:
        """Where it is found, for people."""

    def answer(self, path: str, query: Query) -> Answer | None:
        """The response to a request; None if the exchange has no such address."""

    def refuse(self, fault: str) -> Answer:
        """What a client is told that meets the fault `429`, `418` or `5xx`."""

    def stream(self, path: str, query: Query) -> Stream | None:
        """A new connection; None if the exchange streams nothing at this address."""
