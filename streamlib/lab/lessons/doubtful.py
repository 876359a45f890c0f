"""A publisher in a process of its own that waits for an answer which never comes.

    python -m streamlib.lab.lessons.doubtful ID TOPIC VALUE ...

It publishes its values, each stored before the next. The last one arrives too, but the answer is
lost: the process waits for it until it is killed, or until whoever started it is gone.
`publishers.py` starts and kills it.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Sequence
from typing import Any

from temporalio.client import WorkflowHandle

from streamlib import StreamError, WorkflowStreamClient
from streamlib.lab.lessons.publishers import IN_DOUBT, READY, STORED
from streamlib.scenarios.connect import ServerUnavailableError, connect


class NoAnswerHandle:
    """A workflow handle whose signals arrive; the last one's answer never does."""

    def __init__(self, handle: WorkflowHandle[Any, Any], answers: int) -> None:
        self.id = handle.id
        self.run_id: str | None = None
        self._handle = handle
        self._answers = answers

    async def signal(self, *args: Any, **options: Any) -> None:
        """Signal; return while there are answers left, else wait for ever."""
        await self._handle.signal(*args, **options)
        if not self._answers:
            print(IN_DOUBT, flush=True)
            await asyncio.Event().wait()
        self._answers -= 1


async def main(workflow_id: str, topic: str, values: Sequence[str]) -> None:
    """Publish, and wait. Does not return: the last flush never does.

    Raises:
        StreamError: It could not publish.
        ServerUnavailableError: No server answers.
    """
    client = await connect()
    handle = NoAnswerHandle(client.get_workflow_handle(workflow_id), len(values) - 1)
    stream = WorkflowStreamClient(handle, client=client)  # type: ignore[arg-type]
    print(f"{READY}\n{stream.publisher_id}", flush=True)
    for value in values:
        stream.topic(topic).publish(value)
        await stream.flush()
        print(STORED, flush=True)


def _end_with_whoever_started_it() -> None:
    os.read(0, 1)  # nobody writes: it returns when the other end is closed
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=_end_with_whoever_started_it, daemon=True).start()
    try:
        asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
    except (StreamError, ServerUnavailableError) as error:
        sys.exit(str(error))
