"""Client of the Fanfare realtime gateway: channels that resume, publishing, agents."""

from .agent import Agent
from .backoff import Backoff
from .client import Client
from .errors import FanfareError
from .fold import fold
from .http import Page
from .items import Event, Gap, Item, Position, Presence, Problem, State, Subscribed
from .job import Dependency, Job
from .link import Change
from .publication import Publication, Published, PublishError, Wrong
from .session import Welcome
from .subscription import Subscription

__all__ = [
    "Agent",
    "Backoff",
    "Change",
    "Client",
    "Dependency",
    "Event",
    "FanfareError",
    "Gap",
    "Item",
    "Job",
    "Page",
    "Position",
    "Presence",
    "Problem",
    "Publication",
    "PublishError",
    "Published",
    "State",
    "Subscribed",
    "Subscription",
    "Welcome",
    "Wrong",
    "fold",
]
