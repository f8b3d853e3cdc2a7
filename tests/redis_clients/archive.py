"""Waits until a deployment's archive holds 1,011 events in order: archive.py URL ID."""

import json
import sys
import time
import urllib.request

url, deployment = sys.argv[1:]
expected = list(range(1011))
deadline = time.monotonic() + 30
while True:
    numbers, query = [], "limit=500"
    while query:
        page = f"{url}/v1/channels/deployment:{deployment}/events?{query}"
        with urllib.request.urlopen(page, timeout=10) as answer:
            body = json.load(answer)
        numbers += [event["data"]["n"] for event in body["events"]]
        query = f"limit=500&since={body['next']}" if body.get("next") else None
    if numbers == expected:
        break
    if time.monotonic() > deadline:
        sys.exit(f"{len(numbers)} events of {len(expected)}, in order: {numbers == sorted(numbers)}")
    time.sleep(0.1)
