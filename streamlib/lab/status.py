"""What runs right now: the server, every worker, the scripted LLM. It changes nothing.

`doctor.py` also says what to do about what does not.
"""

from __future__ import annotations

from streamlib.lab.machine import processes, scripted, server, workers
from streamlib.lab.report import Part, Report
from streamlib.scenarios.connect import ServerUnavailableError, target


async def status() -> Report:
    """One line for the server and one for each other process; `.ok` if all started ones run."""
    return Report((await server_part(), *await worker_parts(), *scripted_parts()))


async def server_part() -> Part:
    """The server in use: where, whose, and whether it answers."""
    in_use = server.last()
    if in_use is None:
        return Part("server", False, "not running", "await lab.start(), or `streamlib start`")
    if in_use.paused:
        return Part("server", False, f"paused ({in_use})", "await session.server.resume()")
    if await server.status() is None:
        todo = (
            "check TEMPORAL_ADDRESS or the Temporal profile, and that the server is up"
            if in_use.external
            else "await lab.start() brings it back, with its workflows"
        )
        return Part("server", False, f"no answer at {target().address}", todo)
    page = f", UI at {in_use.ui_url}" if in_use.ui_url else ""
    return Part("server", True, f"{in_use}{page}")


async def worker_parts() -> list[Part]:
    """Every worker that was started and not stopped; at least one line."""
    return [await _worker_part(name) for name in workers.names()] or [
        Part("worker", False, "not running", "await lab.start(), or `streamlib start`")
    ]


async def _worker_part(name: str) -> Part:
    worker = await workers.status(name)
    if worker is None or not worker.alive:
        todo = "await lab.start() brings it back"
        return Part(name, False, f"dead (its log: {processes.log_path(name)})", todo)
    if worker.paused:
        return Part(name, False, f"paused (pid {worker.pid})", "await session.worker.resume()")
    try:
        polling = await worker.polling()
    except ServerUnavailableError:
        polling = False
    if polling:
        return Part(name, True, f"pid {worker.pid} polls {worker.task_queue!r}")
    todo = "is the server up? else: await session.worker.restart()"
    return Part(name, False, f"pid {worker.pid} runs but does not poll", todo)


def scripted_parts() -> list[Part]:
    """The scripted LLM, if it was started and not stopped."""
    if (llm := scripted.last()) is None:
        return []
    if llm.process.alive:
        return [Part(scripted.NAME, True, f"pid {llm.process.pid} at {llm.base_url}")]
    says = f"dead (its log: {llm.process.log})"
    return [Part(scripted.NAME, False, says, "await lab.start_llm(session) brings it back")]
