"""The blocking face, against a real server."""

import pytest

from fanfare import Event, FanfareError, Publication, Subscribed
from fanfare.blocking import Client


def test_a_program_without_a_loop_subscribes_and_publishes(fanfare_server):
    with Client(fanfare_server.url) as client:
        sub = client.subscribe("deployment:d1")
        seen = []
        for item in sub:
            seen.append(type(item))
            if isinstance(item, Subscribed):
                data = {"status": "success"}
                client.publish(Publication("deployments", "deployment_update", "d1", data))
            if isinstance(item, Event):
                break
        assert seen == [Subscribed, Event]
        assert sub.state is not None
        assert sub.state["status"] == "success"
        with pytest.raises(TimeoutError):
            sub.get(timeout=0.1)
        assert client.history("deployment:d1").events[0].position == sub.position
        sub.close()
        assert list(sub) == []


def test_a_refused_channel_raises(fanfare_server):
    with Client(fanfare_server.url) as client, pytest.raises(FanfareError):
        client.subscribe("tasks").get(timeout=20)
