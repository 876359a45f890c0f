"""A publisher in a process of its own: `python -m streamlib.lab.lessons.publish ID --topic news`.

It did not start the workflow and shares nothing with whoever did: it knows the server's address
(by `connect`) and the workflow's id, as a backend service or a scheduled job does.
`publishers.py` runs several of them at once.
"""

from __future__ import annotations

import argparse
import asyncio
import sys

from temporalio.client import Client

from streamlib import StreamError, WorkflowStreamClient
from streamlib.lab.lessons.publishers import READY
from streamlib.scenarios.connect import ServerUnavailableError, connect


async def publish(client: Client, workflow_id: str, topic: str, items: int) -> str:
    """Publish `items` items, each stored before the next; the publisher's id."""
    stream = WorkflowStreamClient.create(client, workflow_id)
    for number in range(items):
        stream.topic(topic).publish(f"{topic} {number}")
        await stream.flush()
        await asyncio.sleep(0.05)  # what a service does between two items
    return stream.publisher_id


async def main(workflow_id: str, topic: str, items: int, *, wait: bool) -> None:
    """Connect and publish; with `wait`, once a line came in."""
    client = await connect()
    if wait:
        print(READY, flush=True)
        if not await asyncio.to_thread(sys.stdin.readline):
            return  # whoever was to give the sign is gone
    print(await publish(client, workflow_id, topic, items))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m streamlib.lab.lessons.publish", description=__doc__
    )
    parser.add_argument("workflow_id")
    parser.add_argument("--topic", default="news")
    parser.add_argument("--items", type=int, default=5)
    parser.add_argument("--wait", action="store_true", help="begin when a line comes in")
    given = parser.parse_args()
    try:
        asyncio.run(main(given.workflow_id, given.topic, given.items, wait=given.wait))
    except (StreamError, ServerUnavailableError) as error:
        sys.exit(str(error))
