"""The background worker, from a terminal. Its body is in `streamlib/scenarios/worker.py`.

    python worker.py          # scenarios 1 to 4
    python worker.py --llm    # scenario 5

Where no server is configured or running, it starts the lab's dev server first; where no LLM is
configured, the lab's scripted one. It leaves them running when it ends (`make stop` ends that).
"""

import sys

from streamlib_cli import main

if __name__ == "__main__":
    sys.exit(main(["worker", *sys.argv[1:]]))
