"""What a view says of the world around the stream: processes, the UI's page, variables' names."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from streamlib import WorkflowStreamClient
from streamlib.lab.machine import server, workers
from streamlib.lab.widgets.frame import Part
from streamlib.scenarios.connect import target

RUNNING = ("kill", "pause", "restart")


async def parts() -> list[Part]:
    """The server in use and every worker that was started; asks no server."""
    found = [_server(in_use)] if (in_use := server.last()) else []
    known = [await workers.status(name) for name in workers.names()]
    return found + [_worker(worker) for worker in known if worker is not None]


def trouble(parts: Sequence[Part]) -> str:
    """What is the matter with the stream, judged by what runs; empty if all does."""
    for part in parts:
        if part.kind == "server" and part.state in ("dead", "paused"):
            return f"the server is {part.state}"
    working = [part for part in parts if part.kind == "worker"]
    if working and not any(part.state == "runs" for part in working):
        return f"the worker is {working[0].state}: what is published waits in the history"
    return ""


def ui_of(workflow_id: str, run_id: str) -> str | None:
    """The address of a run's page in the Temporal UI; None where there is none to go to."""
    in_use = server.last()
    if in_use is None or not in_use.ui_url:
        return None
    return (
        f"{in_use.ui_url}/namespaces/{quote(target().namespace, safe='')}"
        f"/workflows/{quote(workflow_id, safe='')}/{quote(run_id, safe='')}/history"
    )


def variables(kind: type) -> Mapping[int, str]:
    """The notebook's names for its values of a kind, by their `id()`; none outside of IPython.

    A value in a dict goes by its key there, where no variable holds it.
    """
    shell = _shell()
    if shell is None:
        return {}
    own = {name: value for name, value in list(shell.user_ns.items()) if not name.startswith("_")}
    dicts = [value for value in own.values() if type(value) is dict]
    named: dict[int, str] = {}
    for name, value in [*own.items(), *(pair for each in dicts for pair in list(each.items()))]:
        if isinstance(value, kind) and isinstance(name, str):
            named.setdefault(id(value), name)  # the first: a loop's variable comes later
    return named


def publishers(workflow_id: str) -> Mapping[str, str]:
    """The notebook's names for its clients of this stream, by their publisher ids."""
    shell = _shell()
    if shell is None:
        return {}
    return {
        value.publisher_id: name
        for name, value in reversed(list(shell.user_ns.items()))
        if isinstance(value, WorkflowStreamClient)
        and not name.startswith("_")
        and value.workflow_id == workflow_id
    }


def _shell() -> Any:
    ipython = sys.modules.get("IPython")  # not imported for this: there is none in a script
    return ipython.get_ipython() if ipython is not None else None


def _server(in_use: server.Server) -> Part:
    if in_use.pid is None:
        return Part("server", "server", None, "external", in_use.address, ())
    state = _state(in_use.alive, in_use.paused)
    return Part("server", "server", in_use.pid, state, in_use.address, _actions(state))


def _worker(worker: workers.Worker) -> Part:
    state = _state(worker.alive, worker.paused)
    return Part(worker.name, "worker", worker.pid, state, worker.task_queue, _actions(state))


def _state(alive: bool, paused: bool) -> str:
    return "dead" if not alive else "paused" if paused else "runs"


def _actions(state: str) -> Sequence[str]:
    return {"runs": RUNNING, "paused": ("kill", "resume"), "dead": ("restart",)}[state]
