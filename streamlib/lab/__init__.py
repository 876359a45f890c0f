"""The lab: what notebooks lean on, so that they hold nothing but the lesson.

    from streamlib import lab
    session = await lab.start()     # server, worker, client
    await lab.doctor()              # each part: ok, or what to do
    await session.stop()

Everything here runs without Jupyter too. Read `session.py` first, then `server.py`,
`workers.py` and `processes.py`.
"""

from streamlib.lab import report, server, workers
from streamlib.lab.doctor import doctor
from streamlib.lab.errors import LabError, ServerUnavailableError, WorkerDiedError
from streamlib.lab.session import Session, start, stop
from streamlib.lab.status import status

__all__ = [
    "LabError",
    "ServerUnavailableError",
    "Session",
    "WorkerDiedError",
    "doctor",
    "report",
    "server",
    "start",
    "status",
    "stop",
    "workers",
]
