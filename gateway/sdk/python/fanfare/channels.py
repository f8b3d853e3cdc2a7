"""All channels of a client, over whichever connections there are."""

from __future__ import annotations

import time
from collections.abc import Callable

from .backoff import Backoff
from .errors import SILENT, Closed, FanfareError
from .feed import Feed
from .items import Json
from .places import Ask, Places
from .session import Session

FINAL = {"forbidden", "unauthorized", "unknown_channel", "bad_position", "bad_frame", "bad_json"}
"""Errors of a channel that asking again does not mend."""
FULL = "too_many_subscriptions"


class Channels:
    """Asks each connection for the channels, within its limits, until all are confirmed."""

    def __init__(self, backoff: Backoff, replace: Callable[[], None]) -> None:
        self.feeds: dict[str, Feed] = {}
        self.presence: Json | None = None
        """How the user is there; said anew to each connection."""
        self._replace = replace
        self._backoff = backoff
        self._places: dict[Session, Places] = {}
        self._told: set[str] = set()

    def query(self, session: Session) -> list[tuple[str, str]]:
        """Ask for all channels as an event stream does, in its address."""
        self._places[session] = places = Places(len(self.feeds))
        query = []
        for feed in self.feeds.values():
            if feed.behind:
                continue
            frame = feed.ask(session)
            places.asks[feed.channel] = Ask(at=time.monotonic())
            query += [
                ("channel", feed.channel),
                ("since", frame.get("since", "")),
                ("tail", str(frame.get("tail", 0))),
                ("mode", frame.get("mode", "all")),
            ]
        return query

    def ready(self, session: Session) -> None:
        """Ask a connection that was welcomed for everything that it does not have."""
        self._places.setdefault(session, Places(session.welcome.subscriptions))
        if self.presence is not None:
            session.send(self.presence)
        for feed in self.feeds.values():
            self._ask(session, feed)

    def add(self, feed: Feed, session: Session | None) -> None:
        """Take up another channel."""
        self.feeds[feed.channel] = feed
        if session is not None:
            self._ask(session, feed)

    def remove(self, feed: Feed) -> None:
        """Leave a channel for good."""
        if self.feeds.get(feed.channel) is feed:
            del self.feeds[feed.channel]
            self._leave(feed)

    def caught_up(self, feed: Feed, session: Session | None) -> None:
        """Go on with a channel whose reader had fallen behind."""
        feed.behind = False
        if session is not None:
            self._ask(session, feed)

    def hear(self, session: Session, frame: Json) -> None:
        """Take a frame that concerns a channel."""
        kind, channel = frame.get("type"), frame.get("channel")
        if kind == "presence":
            frame = {**frame, "channel": (channel := "presence")}
        places = self._places.get(session)
        if places is None or not isinstance(channel, str) or places.void(frame):
            return
        feed = self.feeds.get(channel)
        if feed is None:
            return
        if kind == "error":
            self._refused(session, feed, str(frame.get("code")), str(frame.get("message")))
        elif kind == "unsubscribed":
            self._end(feed, FanfareError("unsubscribed", f"the server left {channel}"))
        else:
            if kind == "subscribed":
                places.confirmed(channel)
            feed.take(session, frame)
            if feed.behind:
                self._leave(feed)

    def lost(self, session: Session) -> None:
        """A connection is gone."""
        self._places.pop(session, None)
        for feed in self.feeds.values():
            feed.lost(session)
            if feed.behind:
                self._leave(feed)

    def settled(self, session: Session) -> bool:
        """Whether nothing is heard by another connection any more."""
        return all(
            feed.home is session or (feed.home is None and feed.asked is None)
            for feed in self.feeds.values()
        )

    def tick(self, session: Session) -> None:
        """Ask again where no answer came, and for what had to wait."""
        places, now = self._places.get(session), time.monotonic()
        if places is None:
            return
        if session.degraded:
            places.postpone(now)
        for channel in places.overdue(now):
            feed, again = self.feeds.get(channel), places.asks[channel].again
            if again or session.kind == "sse":
                return session.end(Closed(SILENT, f"{channel} was not confirmed"))
            session.send(places.leave(channel))
            if feed is not None:
                feed.lost(session)
                self._ask(session, feed, again=True)
        for feed in self.feeds.values():
            if feed.retry_at > now or feed.behind or feed.channel in places.asks:
                continue
            if session.kind == "sse":
                return self._replace()  # A stream has its channels in the address.
            self._ask(session, feed)

    def end(self, error: FanfareError) -> None:
        """Tell all readers that there will be no connection any more."""
        for feed in list(self.feeds.values()):
            self._end(feed, error)

    def _ask(self, session: Session, feed: Feed, again: bool = False) -> None:
        places = self._places.get(session)
        if places is None or feed.behind or session in (feed.home, feed.asked):
            return
        if feed.channel in places.asks or session.kind == "sse":
            return
        if not places.free():
            if feed.channel not in self._told:
                self._told.add(feed.channel)
                feed.fail(FULL, "the server allows no more channels on one connection: it waits")
            return
        self._told.discard(feed.channel)
        places.asks[feed.channel] = ask = Ask(again=again)
        session.send(lambda: self._question(session, feed, ask))

    def _question(self, session: Session, feed: Feed, ask: Ask) -> Json | None:
        """Make the frame at the moment of writing, so that it says the newest position."""
        places = self._places.get(session)
        if places is None or places.asks.get(feed.channel) is not ask:
            return None
        ask.at = time.monotonic()
        return feed.ask(session)

    def _leave(self, feed: Feed) -> None:
        feed.leave()
        for session, places in self._places.items():
            if feed.channel in places.asks:
                session.send(places.leave(feed.channel))

    def _refused(self, session: Session, feed: Feed, code: str, message: str) -> None:
        if code in FINAL:
            return self._end(feed, FanfareError(code, message))
        feed.fail(code, message)
        if session is feed.asked:
            self._places[session].asks.pop(feed.channel, None)
            feed.failures += 1
            feed.retry_at = time.monotonic() + self._backoff.wait(feed.failures)
            feed.lost(session)

    def _end(self, feed: Feed, error: FanfareError) -> None:
        self.feeds.pop(feed.channel, None)
        feed.end(error)
        for places in self._places.values():
            places.asks.pop(feed.channel, None)
