"""The client's tests know when all tasks wait: see `fakes.quiet`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from tests.fakes import TellingLoop


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"telling": TellingLoop}
