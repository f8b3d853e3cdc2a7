"""One channel on the wire: which connection it is heard on, and how far it was heard.

No position is ever compared with another: a channel has one home, the connection whose server
confirmed it last, and only what comes from there counts. While another connection is asked, what
the old home says is held back; at the new one's `subscribed` it is discarded, because the server
sends it again, and it counts after all where the new connection fails.
"""

from __future__ import annotations

from .errors import FanfareError
from .items import Json, Position, Problem, Subscribed, read
from .session import Session
from .subscription import Subscription

ENTITIES = ("deployment:", "task:", "agent:", "container:")
"""The channels that have a state."""


class Feed:
    """Takes the frames of one channel and hands the reader what counts."""

    def __init__(self, reader: Subscription) -> None:
        self.channel = reader.channel
        self.reader = reader
        self.position: Position | None = reader.wish.since
        self.home: Session | None = None
        self.asked: Session | None = None
        self.behind = False
        """The reader is too slow: the channel waits for it."""
        self.retry_at = 0.0
        self.failures = 0
        self._since: Position | None = None
        self._held: list[Json] = []

    def ask(self, session: Session) -> Json:
        """Return the frame that starts or resumes the channel; from here on `session` counts."""
        self.asked = session
        self._since = self.position
        frame: Json = {"type": "subscribe", "channel": self.channel}
        wish = self.reader.wish
        if self.position is not None:
            frame["since"] = self.position
        elif wish.tail:
            frame["tail"] = wish.tail
        if wish.mode != "all":
            frame["mode"] = wish.mode
        return frame

    def take(self, session: Session, frame: Json) -> None:
        """Take a frame of the channel that came by `session`."""
        if session is self.asked and frame["type"] == "subscribed":
            self._confirmed(session, frame)
        elif session is self.home:
            if self.asked is None:
                self._deliver(frame)
            elif len(self._held) < self.reader.wish.buffer:
                self._held.append(frame)
            else:
                self.home = None  # The rest comes again, whoever answers next.

    def lost(self, session: Session) -> None:
        """`session` is gone, or refused the channel for now."""
        if session is self.home:
            self.home = None
        if session is self.asked:
            self.asked = None
            held, self._held = self._held, []
            for frame in held:
                if not self.behind:
                    self._deliver(frame)
        self.reader.active = self.home is not None

    def leave(self) -> None:
        """Hear nothing any more until it is asked for again."""
        self.home = self.asked = None
        self._held = []
        self.reader.active = False

    def fail(self, code: str, message: str) -> None:
        """Tell the reader that the channel waits, and why."""
        self.reader._put(Problem(self.channel, code, message))

    def end(self, error: FanfareError) -> None:
        """Tell the reader that the channel is over."""
        self.leave()
        self.reader._end(error)

    def _confirmed(self, session: Session, frame: Json) -> None:
        self.home, self.asked = session, None
        self._held = []
        self.failures = 0
        anew = self._since is None
        position = frame.get("position")
        if anew:
            self.position = position
        resumed = not anew and position == self._since
        # Where it was not: a gap follows, which moves the position.
        self.reader.active = True
        state = frame.get("state") if anew else None
        head = frame.get("head")
        self.reader._put(Subscribed(self.channel, position, head, state, resumed, anew))

    def _deliver(self, frame: Json) -> None:
        item = read(frame)
        if item is None:
            return
        if self.reader._full:
            self.behind = True
            return self.leave()
        if frame["type"] in ("event", "state") and not frame.get("tail"):
            self.position = frame["position"]
        elif frame["type"] == "gap" and not self.channel.startswith(ENTITIES):
            self.position = frame["to"]  # Else the state that follows moves it.
        self.reader._put(item)
