"""A world lives by its plan, and says what was wrong in it."""

from __future__ import annotations

import asyncio
import contextlib
import random

from streamlib.client.feed import Feed
from tests.world.actors import Author, Follower, check_writes
from tests.world.clock import StandstillError, run
from tests.world.plan import Plan, Step
from tests.world.server import Server

RECOVERY = 3.0
"""Seconds after which every reader has what is acknowledged, once all is well again (14)."""


def violations(plan: Plan) -> list[str]:
    """Let a world live, and return what must not have been."""
    random.seed(plan.seed)  # the client's own chances: pauses between tries
    try:
        return run(_live(plan))
    except StandstillError as error:
        return [f"(14) standstill: {error}"]


async def _live(plan: Plan) -> list[str]:
    server = Server(random.Random(plan.seed + 1), codec=plan.codec)
    server.faults = dict(plan.faults)
    authors = [Author(server, f"p{n}") for n in range(len(plan.publishers))]
    followers = [
        Follower(server, f"r{n}", reader, calm=plan.calm) for n, reader in enumerate(plan.readers)
    ]
    reading = [asyncio.ensure_future(follower.live()) for follower in followers]
    writing = [
        asyncio.ensure_future(author.live(steps))
        for author, steps in zip(authors, plan.publishers, strict=True)
    ]
    for step in plan.happens:
        await asyncio.sleep(max(0.0, step.at - server.now))
        await _happen(server, step)
    await asyncio.sleep(max(0.0, plan.seconds - server.now))
    await _come_to_rest(server, authors, writing)
    if plan.end:
        server.signal("close") if plan.end == "close" else server.terminate()
    await asyncio.sleep(RECOVERY + 60 * bool(plan.end) + _slowness(followers))
    for follower, task in zip(followers, reading, strict=True):
        if plan.end and not follower.ended and server.run.closed:
            follower.wrong(f"(12) has not ended, {RECOVERY + 60} s after the run")
        if not follower.ended and (left := follower.behind()):
            follower.wrong(f"(14) has not got {left}, {RECOVERY} s after all is well")
        task.cancel()
    ended = await asyncio.gather(*reading, return_exceptions=True)
    server.wrong += [f"(13) {e!r}" for e in ended if isinstance(e, Exception)]
    check_writes(server, authors)
    for author in authors:
        with contextlib.suppress(Exception):
            await author.publisher.stop(hurry=True)
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


async def _happen(server: Server, step: Step) -> None:
    match step.what:
        case "append":
            values = [(t, f"w-{server.now:.3f}-{n}" + "." * s) for n, (t, s) in enumerate(step.how)]
            server.signal("append", values)
        case "truncate":
            server.signal("truncate", int(server.run.truth.end * step.how))
        case "roll" | "forget" | "fail":
            server.signal(step.what)
        case "fleeting":  # rolls over, and the next run ends before its first task
            server.signal("roll")
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
        case "hostile":
            server.signal("__temporal_workflow_stream_publish", {"items": "no list"})


def _slowness(followers: list[Follower]) -> float:
    """Seconds that the slowest reader needs for what lies before it."""
    return max((f.plan.pause * len(f.behind()) * 1.2 for f in followers), default=0.0)


def feeds_left() -> int:
    """How many feeds are left of worlds that have ended."""
    return len(Feed.running())
