"""The CPU time of one POST of one event, compared with a Session of requests that does the same.

Both send the same event to the same local server, over a connection that stays open. The rounds
take turns, and only the CPU time of the sending thread counts.
"""

from __future__ import annotations

from collections import defaultdict
from statistics import median
from time import thread_time

import requests

from segment_logging import HttpClient, Track, User

from . import runs
from .collector import Collector

NAMES = ("ours", "requests")
LABELS = {"ours": "HttpClient.send", "requests": "Session.post"}


def child(name: str, url: str, count: int) -> float:
    """Return the CPU time of one POST, in µs."""
    event = Track(user=User(user_id="u-17"), event="Signup", properties={"plan": "pro"})
    client, session = HttpClient(url), requests.Session()
    form = event.to_dict()

    def ours() -> None:
        client.send("key", event)

    def theirs() -> None:
        session.post(f"{url}/v1/track", json=form, auth=("key", ""), timeout=(3.05, 15))

    post = ours if name == "ours" else theirs
    for _ in range(50):
        post()
    began = thread_time()
    for _ in range(count):
        post()
    return (thread_time() - began) / count * 1e6


def run(short: bool) -> list[runs.Row]:
    """Run all measurements and print the results."""
    found = defaultdict(list)
    with Collector() as collector:
        for name in runs.in_turns(NAMES, 3 if short else 9):
            result = runs.child("one_post", name=name, url=collector.url, count=1_000)
            found[name].append(result)
    runs.show(
        ("one POST of one event", "µs of CPU", "spread"),
        [[LABELS[name], f"{median(found[name]):.0f}", runs.spread(found[name])] for name in NAMES],
    )
    return [
        runs.Row(
            what="CPU of a POST of one event, relative to a Session of requests",
            budget=0.6,
            values=runs.ratios(found["ours"], found["requests"]),
        )
    ]


if __name__ == "__main__":
    runs.main(run, child)
