"""A world lives by its plan, and says what was wrong in it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable
from unittest.mock import patch

from tests.world.actors import Author, Follower, check_commits, check_writes
from tests.world.clock import StandstillError, run
from tests.world.plan import Plan, Step
from tests.world.server import Server

WINDOW_BYTES = 4_000
"""As large as windows are here; the real one is a thousand times that."""

RECOVERY = 3.0
"""Seconds after which every reader has what is acknowledged, once all is well again (14)."""

HUNG = 26.0
"""The same, where it was the wait for the next event that hung, and nothing else told of trouble:
then its time-out is the first to know."""

LIMITED = 8.0
"""The same after a rate limit, which asks everybody to slow down, and where a named reader's signal
hung: it joins only when that is given up."""


def violations(plan: Plan, tell: Callable[[str], None] | None = None) -> list[str]:
    """Let a world live, and return what must not have been.

    Args:
        tell: Called with every call over the network, as it is made.
    """
    random.seed(plan.seed)  # the client's own chances: pauses between tries
    logging.getLogger("streamlib").setLevel(logging.CRITICAL)  # trouble is all that happens here
    try:
        with patch("streamlib.client.newest.WINDOW_BYTES", WINDOW_BYTES):
            return run(_live(plan, tell))
    except StandstillError as error:
        return [f"(14) standstill: {error}"]
    finally:
        logging.getLogger("streamlib").setLevel(logging.NOTSET)


async def _live(plan: Plan, tell: Callable[[str], None] | None) -> list[str]:
    server = Server(random.Random(plan.seed + 1), codec=plan.codec, keep=plan.keep)
    server.tell, server.queries = tell, plan.queries
    server.faults = dict(plan.faults)
    authors = [Author(server, f"p{n}") for n in range(len(plan.publishers))]
    followers = [
        Follower(server, f"r{n}", reader, calm=plan.calm) for n, reader in enumerate(plan.readers)
    ]
    for follower in followers:
        others = [each for each in followers if each is not follower]
        follower.rivals = [each for each in others if each.plan.name == follower.plan.name != ""]
    reading = [asyncio.ensure_future(follower.live()) for follower in followers]
    writing = [
        asyncio.ensure_future(author.live(steps))
        for author, steps in zip(authors, plan.publishers, strict=True)
    ]
    for step in plan.happens:
        await asyncio.sleep(max(0.0, step.at - server.now))
        await _happen(server, step, len(authors) + len(followers))
    await asyncio.sleep(max(0.0, plan.seconds - server.now))
    await _come_to_rest(server, authors, writing)
    if plan.end:
        server.signal("close") if plan.end == "close" else server.terminate()
    late = server.limited or server.told_late
    recovery = HUNG if server.hung else LIMITED if late else RECOVERY
    await asyncio.sleep(recovery)
    slowest = 0.0
    for follower in followers:
        slowest = max(slowest, follower.slowness())
        if not follower.slowness() and follower.should_have_all() and (left := follower.behind()):
            follower.wrong(f"(14) has not got {left}, {recovery:g} s after all is well")
    await asyncio.sleep(slowest)
    for follower in followers:
        if follower.should_have_all() and (left := follower.behind()):
            follower.wrong(f"(14) has not got {left}, though it had the time")
        elif follower.should_have_all() and (lag := follower.lags()):
            follower.wrong(f"(20) stands {lag} before the end, and nothing of that is its own")
        if not follower.ended and plan.end and server.run.closed:
            follower.wrong(f"(12) has not ended, {recovery + slowest:g} s after the run")
    for task in reading:
        task.cancel()
    ended = await asyncio.gather(*reading, return_exceptions=True)
    server.wrong += [f"(13) {e!r}" for e in ended if isinstance(e, Exception)]
    check_writes(server, authors)
    check_commits(server)
    for author in authors:
        author.forget()
        with contextlib.suppress(Exception):
            await author.publisher.stop(hurry=True)
    await asyncio.sleep(1)
    if left_over := server.strangers():
        server.wrong.append(f"(13) nobody is there any more, and there is {left_over}")
    return server.wrong


async def _come_to_rest(
    server: Server, authors: list[Author], writing: list[asyncio.Future[None]]
) -> None:
    """All troubles end; publishers send what they have."""
    server.faults.clear()
    server.up = True
    server.start_worker()
    await asyncio.gather(*writing)
    for author in authors:
        for _ in range(20):
            await author.flush()
            if not author.publisher.unsent or server.run.closed:
                break
        else:
            server.wrong.append(f"(14) {author.name} cannot get rid of its items")
        await author.hear_of_receipts()


async def _happen(server: Server, step: Step, clients: int) -> None:
    match step.what:
        case "append":
            server.appended += 1
            name = f"w-{server.appended}"
            values = [(t, f"{name}-{n}" + "." * s) for n, (t, s) in enumerate(step.how)]
            server.signal("append", values)
        case "truncate":
            server.signal("truncate", int(server.run.truth.end * step.how))
        case "roll" | "forget" | "fail":
            server.signal(step.what)
        case "fleeting" | "stillborn":  # the next run, or attempt, ends before its first task
            server.signal("roll" if step.what == "fleeting" else "fail")
            before = server.run
            while server.run is before and not before.closed:
                await server.changed()
            if not server.run.began:
                server.terminate()
        case "reset":
            server.reset()
        case "kill":
            server.kill_worker()
            await asyncio.sleep(step.how)
            server.start_worker()
        case "down":
            server.up = False
            server.ring()
            await asyncio.sleep(step.how)
            server.up = True
            server.ring()
        case "throttle":
            server.throttled, server.refusals = server.now, 0
            await asyncio.sleep(step.how)
            server.throttled = None
            if server.refusals > clients * (8 + 4 * step.how):
                server.wrong.append(f"(18) {server.refusals} calls in {step.how} s of a rate limit")
        case "hostile":
            server.signal("__temporal_workflow_stream_publish", {"items": "no list"})
