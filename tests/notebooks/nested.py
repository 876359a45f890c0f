"""Cells that nest: what is asked of `asyncio.run` in a kernel, whichever ipykernel it is."""

from __future__ import annotations

import asyncio

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

async def sleep():
    print("begun", flush=True)
    await asyncio.sleep(60)

outcome = "none"
try:
    asyncio.run(sleep())
finally:
    outcome = sys.exc_info()[0].__name__
"""
SLEEP_IN_A_CELL_THAT_AWAITS = f"await asyncio.sleep(0)\n{SLEEP}"
SLEEP_ON = SLEEP.replace(
    "await asyncio.sleep(60)",
    """
    try:
        await asyncio.sleep(60)
    finally:
        print("not yet", flush=True)
        await asyncio.sleep(60)
""",
)
SPIN = SLEEP.replace("await asyncio.sleep(60)", "time.sleep(60)")
BESIDE = """
import time

async def work():
    while True:
        time.sleep(0.02)  # so that it is what runs when something is raised in this thread
        await asyncio.sleep(0.001)

beside = asyncio.get_running_loop().create_task(work())
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
    """*Interrupt* ends that cell, whatever it is; the next ones run, and what runs beside it."""
    await kernel.execute([(cell, cell) for cell in (MAIN, BESIDE)], seconds=30)
    for cell in (SLEEP, SLEEP_IN_A_CELL_THAT_AWAITS):
        await _begin(kernel, cell)
        await _interrupt(kernel)


async def a_second_interrupt_in_a_nested_call(kernel: Kernel) -> None:
    """It ends what the first one does not: a call that goes on, or that never awaits."""
    await kernel.execute([(cell, cell) for cell in (MAIN, BESIDE)], seconds=30)
    await _begin(kernel, SLEEP_ON)
    await kernel.manager.interrupt_kernel()
    await kernel.hears("not yet\n")
    await _interrupt(kernel)
    await _begin(kernel, SPIN)
    pressing = asyncio.create_task(_press(kernel))
    await kernel.hears_the_end()
    pressing.cancel()
    await _interrupt(kernel)


async def _press(kernel: Kernel) -> None:
    """*Interrupt*, again and again: two at once would be one."""
    while True:
        await kernel.manager.interrupt_kernel()
        await asyncio.sleep(0.1)


async def _begin(kernel: Kernel, cell: str) -> None:
    begun = await kernel.execute(
        [("nested", cell)], until=lambda ran: bool(ran.printed or ran.ended)
    )
    assert [(ran.printed, ran.error) for ran in begun] == [("begun\n", "")]


async def _interrupt(kernel: Kernel) -> None:
    await kernel.manager.interrupt_kernel()
    cells = ("print(outcome, beside.done())", NESTED, "print(await main())", NESTED)
    after = await kernel.execute([(cell, cell) for cell in cells], seconds=30)
    assert [each.printed for each in after] == ["KeyboardInterrupt False\n", RAN, RAN, RAN]


async def a_live_view_beside_it(kernel: Kernel) -> None:
    """It goes on showing what happens, also what nested calls publish."""
    nested = "print(asyncio.run(publish_and_read()))"
    cells = [VIEWED, nested, nested, SEEN, CLOSE, "print('well')"]
    ran = await kernel.execute([(cell, cell) for cell in cells], seconds=60)
    assert [each.error for each in ran if each.error] == []
    assert [each.printed for each in ran[1:4]] == ["hello\n", "hello\n", "2\n"]
    assert ran[-1].printed == "well\n"
