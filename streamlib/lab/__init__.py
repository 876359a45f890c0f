"""The lab: what notebooks lean on, so that they hold nothing but the lesson.

    from streamlib import lab
    session = await lab.start()     # server, worker, client
    await lab.doctor()              # each part: ok, or what to do
    await session.stop()

Everything here runs without Jupyter too. Read `session.py` first, then `server.py`,
`workers.py` and `processes.py`; then what lessons say: `lesson.py`, `tape.py`, `checks/`,
`hosts.py`, `publishers.py`, `own_log/`; `widgets/` is the live view.
"""

from streamlib.lab import report
from streamlib.lab.doctor import doctor
from streamlib.lab.errors import LabError, ServerUnavailableError, WorkerDiedError
from streamlib.lab.lessons.batches import send_batch
from streamlib.lab.lessons.bill import cost, runs, send_again
from streamlib.lab.lessons.checks import check
from streamlib.lab.lessons.hosts import close_hosts, host, host_workflow
from streamlib.lab.lessons.lesson import arrived, compare, history, predict, say, ui
from streamlib.lab.lessons.llm import LLM, LiveText, start_llm
from streamlib.lab.lessons.many import read_many
from streamlib.lab.lessons.nesting import NestingError, allow_asyncio_run
from streamlib.lab.lessons.own_log.own import OwnLog, start_own_log
from streamlib.lab.lessons.publishers import PublisherProcess, publish_elsewhere, start_publisher
from streamlib.lab.lessons.record import forget
from streamlib.lab.lessons.review import review
from streamlib.lab.lessons.tape import show_log
from streamlib.lab.lossy import LossyHandle
from streamlib.lab.machine import server, workers
from streamlib.lab.machine.small import SmallServer
from streamlib.lab.machine.small import start as start_small_server
from streamlib.lab.machine.small import stop as stop_small_server
from streamlib.lab.session import Session, start, stop
from streamlib.lab.status import status
from streamlib.lab.widgets import view

__all__ = [
    "LLM",
    "LabError",
    "LiveText",
    "LossyHandle",
    "NestingError",
    "OwnLog",
    "PublisherProcess",
    "ServerUnavailableError",
    "Session",
    "SmallServer",
    "WorkerDiedError",
    "allow_asyncio_run",
    "arrived",
    "check",
    "close_hosts",
    "compare",
    "cost",
    "doctor",
    "forget",
    "history",
    "host",
    "host_workflow",
    "predict",
    "publish_elsewhere",
    "read_many",
    "report",
    "review",
    "runs",
    "say",
    "send_again",
    "send_batch",
    "server",
    "show_log",
    "start",
    "start_llm",
    "start_own_log",
    "start_publisher",
    "start_small_server",
    "status",
    "stop",
    "stop_small_server",
    "ui",
    "view",
    "workers",
]
