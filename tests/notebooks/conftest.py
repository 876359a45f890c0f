"""A home for the notebooks, in which nothing runs until they start it."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from streamlib.lab.machine import scripted, server, small, workers
from tests.notebooks import running
from tests.notebooks.running import Kernel

Start = Callable[[str], AbstractAsyncContextManager[Kernel]]


@contextlib.contextmanager
def fresh_home() -> Iterator[Path]:
    """A state folder; what was started in it is stopped at the end."""
    folder = Path(tempfile.mkdtemp(prefix="streamlib-notebooks-"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STREAMLIB_HOME", str(folder))
        try:
            yield folder
        finally:
            asyncio.run(_stop_all())
            shutil.rmtree(folder, ignore_errors=True)


async def _stop_all() -> None:
    for name in workers.names():
        await workers.stop(name)
    await scripted.stop()
    await small.stop()
    await server.stop()


@pytest.fixture(scope="module")
def course_home() -> Iterator[Path]:
    """One home for a whole pass through the course."""
    with fresh_home() as folder:
        yield folder


@pytest.fixture
def empty_home() -> Iterator[Path]:
    """A home for one notebook alone."""
    with fresh_home() as folder:
        yield folder


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Start a kernel for a notebook: `async with start(name) as kernel`."""
    return lambda name: running.kernel(tmp_path / "kernel-output", name)
