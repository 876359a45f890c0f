"""The background worker, from a terminal. Its body is in `streamlib/scenarios/worker.py`.

Where no server is configured or running, it starts the lab's dev server first, and leaves it
running when it ends (`make stop` ends that).
"""

import sys

from streamlib.connect import target
from streamlib.scenarios.worker import main


async def server_first() -> None:
    """Start the dev server, unless the environment or a Temporal profile names a server."""
    if target().external:
        return
    from streamlib.lab import server  # needs the `lab` extra, which an external server doesn't

    if await server.status() is None:
        started = await server.start()
        print(f"started the dev server at {started} (`make stop` ends it)", flush=True)


if __name__ == "__main__":
    sys.exit(main(prepare=server_first))
