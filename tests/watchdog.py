"""No run hangs for ever: a test whose end never comes ends its process, and says where it stood.

pytest-timeout stops watching a test that failed, so whatever then tears it down may wait without
end; and a time limit that is raised as an exception can be swallowed. This limit holds to the last
line of the teardown. pytest-xdist names the test and begins another process for the rest.
"""

from __future__ import annotations

import faulthandler
import os
from collections.abc import Generator

import pytest

MORE = 120.0
"""Seconds beyond the time limit of the test itself."""

STDERR = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    """Keep the way to the terminal: a test's own output is captured."""
    config.stash[STDERR] = os.dup(2)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Watch one test, with all that it sets up and tears down."""
    watch(item)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


@pytest.hookimpl(trylast=True)  # pytest itself stops watching before this
def pytest_exception_interact(node: pytest.Item | pytest.Collector) -> None:
    """It failed: its teardown has as long again."""
    if isinstance(node, pytest.Item):
        watch(node)


def watch(item: pytest.Item) -> None:
    """From now on, so long."""
    marker = item.get_closest_marker("timeout")
    own = marker.args[0] if marker else item.config.getini("timeout")
    faulthandler.dump_traceback_later(float(own) + MORE, exit=True, file=item.config.stash[STDERR])
