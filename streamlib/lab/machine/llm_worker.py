"""`python -m streamlib.lab.machine.llm_worker`: scenario 5's worker as the lab starts it.

The worker itself is `streamlib/scenarios/worker.py`; this adds the scripted LLM where none is
configured, as `worker.py --llm` does in a terminal.
"""

from __future__ import annotations

import sys

from streamlib.lab.machine import scripted
from streamlib.scenarios.model import source
from streamlib.scenarios.worker import main


async def _llm_first(_: bool) -> None:
    if source() is None:
        await scripted.stand_in()


if __name__ == "__main__":
    sys.exit(main(["--llm", *sys.argv[1:]], prepare=_llm_first))
