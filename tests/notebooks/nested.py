"""Cells that nest: what is asked of `asyncio.run` in a kernel, whichever ipykernel it is."""

from __future__ import annotations

from tests.notebooks.running import Kernel

MAIN = """
import asyncio
from streamlib import lab

async def later(seen):
    await asyncio.sleep(0.2)
    seen.append("later")

async def main():
    seen = []
    task = asyncio.create_task(later(seen))
    await asyncio.wait_for(asyncio.sleep(0.05), 1)
    await asyncio.gather(*(asyncio.sleep(0.01) for _ in range(3)), task)
    return f"main ran, {seen[0]}"

lab.allow_asyncio_run()
"""
NESTED = "print(asyncio.run(main()))"
RAN = "main ran, later\n"

RUNNER = """
waiting = main()
try:
    asyncio.Runner().run(waiting)
except (RuntimeError, AttributeError):  # Python 3.10 has none
    print("refused")
waiting.close()
"""

SLEEP = """
import sys
print("begun", flush=True)
try:
    asyncio.run(asyncio.sleep(60))
finally:
    outcome = sys.exc_info()[0].__name__
"""

VIEWED = """
import asyncio
from streamlib import WorkflowStreamClient, lab
session = await lab.start(quiet=True)
hub = await lab.host(session)
stream = WorkflowStreamClient.create(session.client, hub.id)
lab.allow_asyncio_run()
view = lab.view(stream)
view._handle_custom_msg({"kind": "watch", "view": "page", "visible": True}, [])

async def publish_and_read():
    stream.topic("t").publish("hello")
    await stream.flush()
    return (await anext(stream.subscribe("t", result_type=str))).data
"""
SEEN = """
for _ in range(200):
    if view.frame["stream"]["end"] == 2:
        break
    await asyncio.sleep(0.05)
print(view.frame["stream"]["end"])
"""
CLOSE = "await view.stop(); await lab.close_hosts(session)"


async def all_cells_queued_twice(kernel: Kernel) -> None:
    """As *Run All* does, and once more; awaiting works beside it, and what comes later runs."""
    awaited = "print(await main())"
    for _ in range(2):
        cells = [MAIN, NESTED, NESTED, awaited, NESTED, "print(1)", RUNNER, awaited, NESTED]
        ran = await kernel.execute([(cell, cell) for cell in cells], seconds=30)
        printed = [each.printed for each in ran]
        assert [each.error for each in ran if each.error] == []
        assert printed == ["", RAN, RAN, RAN, RAN, "1\n", "refused\n", RAN, RAN]


async def an_interrupt_in_a_nested_call(kernel: Kernel) -> None:
    """*Interrupt* ends that cell; the next ones run, nested and not."""
    cells = [(MAIN, MAIN), ("sleep", SLEEP)]
    begun = await kernel.execute(
        cells, seconds=30, until=lambda ran: bool(ran.printed or ran.ended)
    )
    assert begun[1].printed == "begun\n"
    await kernel.manager.interrupt_kernel()
    cells = [(cell, cell) for cell in ("print(outcome)", NESTED, "print(await main())", NESTED)]
    after = await kernel.execute(cells, seconds=30)
    assert [each.printed for each in after] == ["KeyboardInterrupt\n", RAN, RAN, RAN]


async def a_live_view_beside_it(kernel: Kernel) -> None:
    """It goes on showing what happens, also what nested calls publish."""
    nested = "print(asyncio.run(publish_and_read()))"
    cells = [VIEWED, nested, nested, SEEN, CLOSE, "print('well')"]
    ran = await kernel.execute([(cell, cell) for cell in cells], seconds=60)
    assert [each.error for each in ran if each.error] == []
    assert [each.printed for each in ran[1:4]] == ["hello\n", "hello\n", "2\n"]
    assert ran[-1].printed == "well\n"
