"""The background worker, from a terminal. Its body is in `streamlib/scenarios/worker.py`.

    python worker.py          # scenarios 1 to 4
    python worker.py --llm    # scenario 5

Where no server is configured or running, it starts the lab's dev server first; where no LLM is
configured, the lab's scripted one. It leaves them running when it ends (`make stop` ends that).
"""

import sys

from streamlib.scenarios.connect import target
from streamlib.scenarios.model import source
from streamlib.scenarios.worker import main


async def servers_first(llm: bool) -> None:
    """Start what the worker needs, unless the environment or a Temporal profile names it."""
    if not target().external:
        from streamlib.lab.machine import (
            server,  # needs the `lab` extra, which an external server doesn't
        )

        if await server.status() is None:
            started = await server.start()
            print(f"started the dev server at {started} (`make stop` ends it)", flush=True)
    if llm and source() is None:
        from streamlib.lab.machine import scripted

        await scripted.stand_in()


if __name__ == "__main__":
    sys.exit(main(prepare=servers_first))
