"""The worker of the learner's own log: `python -m streamlib.lab.lessons.own_log.worker FOLDER`.

It runs the workflows of the file `own_workflows.py` in that folder, in the sandbox, as any worker
runs any workflow. `own.py` makes the folder, and starts and stops this.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from streamlib.scenarios import worker


def main(arguments: Sequence[str]) -> int:
    """Run it as a program; the exit code."""
    folder, *rest = arguments
    sys.path.insert(0, folder)
    found = importlib.import_module("own_workflows")
    return worker.main(rest, workflows=[found.OwnHub, found.OwnTicker])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
