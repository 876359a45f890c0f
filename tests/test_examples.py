"""The examples in the pure core's docstrings do what they say."""

from __future__ import annotations

import doctest
from types import ModuleType

import pytest

from streamlib.core import cursor, dedup, log, outbox, retry


@pytest.mark.parametrize(
    "module", [log, dedup, retry, outbox, cursor], ids=lambda module: module.__name__
)
def test_the_docstrings_examples_run(module: ModuleType) -> None:
    failed, attempted = doctest.testmod(module)
    assert (failed, attempted > 0) == (0, True)
