"""What the tests have run of the library: shown at the end, and too little is a failure.

A plugin of pytest. It marks what is to be measured, and judges where it is asked to measure, as
`make test` does: `pytest -m measured --cov`.
"""

from __future__ import annotations

import io
from collections.abc import Generator

import coverage
import pytest

LEAST = {"core": 100.0, "wire": 95.0, "host": 95.0, "client": 95.0}
"""Per cent of lines and branches, by folder."""

MEASURED = (
    *("tests/core/", "tests/wire/", "tests/host/", "tests/client/"),
    *("tests/server/test_stream", "tests/server/test_flow.py", "tests/server/test_bad_input"),
    *("tests/server/test_identity", "tests/server/test_watched"),
)
"""What is measured. The others run at full speed: a workflow that is measured takes twice as long,
and one that takes too long is given up by its worker."""

TOLD = pytest.StashKey[str]()


@pytest.hookimpl(tryfirst=True)  # before pytest chooses by marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is measured."""
    for item in items:
        if item.nodeid.startswith(MEASURED):
            item.add_marker("measured")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Look at what was measured, once all tests have run."""
    result = yield  # pytest-cov, inside of this, has written it by now
    helps = hasattr(session.config, "workerinput")  # a part of a run that was shared out
    if session.config.getoption("cov_source", None) and not helps:
        told, enough = covered()
        session.config.stash[TOLD] = told
        session.testsfailed += not enough
    return result


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Show it."""
    if told := config.stash.get(TOLD, ""):
        terminalreporter.section("coverage")
        terminalreporter.write(told)


def covered() -> tuple[str, bool]:
    """What the data file says of each folder, as text, and whether it is enough."""
    measured = coverage.Coverage()
    measured.load()
    text, enough = io.StringIO(), True
    for folder, least in LEAST.items():
        files = io.StringIO()
        where = [f"*/streamlib/{folder}/*"]
        total = measured.report(
            include=where, file=files, show_missing=True, skip_covered=True, precision=1
        )
        verdict = "" if total >= least else f", which is less than {least:g} %"
        enough = enough and not verdict
        if total < 100:
            text.write(files.getvalue())
        text.write(f"streamlib/{folder}: {total:.1f} % of lines and branches{verdict}\n")
    return text.getvalue(), enough
