"""The process of one check: it runs what the learner wrote, and can be ended whatever that does.

    kernel                                       this process
    answer, packed  --- forked, with a pipe -->  unpack, start fresh streams, judge
    verdict         <-------------------------   or say where it stands when the time is up
                    --- kills it, if it is silent: a loop in C, a stopped process

Whatever the answer left behind (threads, tasks, a changed library) ends with the process. The
kernel's side: `running.py`.
"""

from __future__ import annotations

import asyncio
import builtins
import gc
import os
import pickle
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection

from streamlib import UnsentItemsWarning
from streamlib.lab.lessons.checks import looking
from streamlib.lab.lessons.checks.exercises import EXERCISES
from streamlib.lab.lessons.checks.judging import (
    PATIENCE,
    Answer,
    Hint,
    NotYet,
    Streams,
    judged,
    missing_await,
    too_late,
)
from streamlib.scenarios.connect import connect

BEAT = 0.25
"""Seconds between two signs of life; a loop in C, say, lets none out."""


@dataclass(frozen=True)
class Verdict:
    """What a check found."""

    ok: bool
    says: str
    itself: bool = False
    """Whether it was the check that failed, and not the answer."""
    picture: str = ""
    """To be printed below, as it is."""


NOT_YET = Verdict(False, "Not answered yet: replace the `...` and run this cell again.")


@dataclass(frozen=True)
class Job:
    """What a check's process is told."""

    exercise: str
    answer: bytes
    """From `sending.packed`."""
    task_queue: str
    """What the worker polls."""
    ids: Sequence[str]
    """Workflow ids for its streams: whoever sent the job closes them. None: it needs no server."""
    environment: Mapping[str, str]
    folder: str
    """Where the notebook is: where its files are."""


def work(job: Job, pipe: Connection) -> None:
    """Do the job, send a verdict, and end this process."""
    if hasattr(os, "setsid"):
        os.setsid()  # a group of its own: what the answer starts, and kills, is in there
    pipe.send(None)  # from here on, silence tells something of the answer
    os.environ.clear()
    os.environ.update(job.environment)
    os.chdir(job.folder)
    sys.stdout = sys.stderr = looking.Printer()
    builtins.display = print  # type: ignore[attr-defined]  # what a notebook has
    warnings.simplefilter("ignore", UnsentItemsWarning)  # that is for a hint to say
    warnings.simplefilter("always", RuntimeWarning)
    warnings.showwarning = looking.note_warning
    saying = threading.Lock()

    def say(verdict: Verdict) -> None:
        """Send it, once, and end: nothing that is left here has a say in that."""
        with saying:
            pipe.send(verdict)
            os._exit(0)

    def watch() -> None:
        """Give signs of life, and end a call that lasts too long, wherever it is."""
        while True:
            time.sleep(BEAT)
            too_long = [each.at for each in [*looking.deadlines]] + [looking.ticked + PATIENCE]
            if any(time.monotonic() > deadline + 1 for deadline in too_long):
                say(_late(answer))
            with saying:
                pipe.send(None)

    answer = Answer("")
    threading.Thread(target=watch, daemon=True).start()
    try:
        answer = Answer(*pickle.loads(job.answer))
        asyncio.run(_judge(job, answer, say))
    except BaseException as error:  # the answer may raise anything, anywhere
        say(Verdict(False, _failed(error), itself=True))


async def _judge(job: Job, answer: Answer, say: Callable[[Verdict], None]) -> None:
    """Judge it, and say so from within the loop, whose end might wait for what never ends."""
    looking.loop = asyncio.get_running_loop()
    ticking = asyncio.create_task(looking.tick())
    looking.loop.set_default_executor(ThreadPoolExecutor(32))  # answers that sleep, together
    try:
        streams = Streams(await connect(), job.task_queue, job.ids) if job.ids else None
        found = Verdict(True, await judged(EXERCISES[job.exercise], answer, streams))
    except NotYet:
        found = NOT_YET
    except Hint as hint:
        gc.collect()  # a coroutine that nobody awaited says so when it goes
        forgotten = looking.unawaited
        says = missing_await(forgotten[0]) if forgotten else str(hint)
        found = Verdict(False, says, picture=hint.picture)
    ticking.cancel()
    say(found)


def _late(answer: Answer) -> Verdict:
    said = looking.late() if callable(looking.late) else looking.late
    return Verdict(False, too_late(said, looking.whereabouts(answer.value, answer.source)))


def _failed(error: BaseException) -> str:
    text = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return f"The check itself could not go on: {text}"
