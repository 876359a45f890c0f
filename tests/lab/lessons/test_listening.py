"""What the kernel makes of a check's process that says nothing, or nothing in time."""

from __future__ import annotations

import pytest

from streamlib.lab.lessons.checks import running


class Pipe:
    """Holds signs of life, so many of them; a sign a look, if it is `beating`."""

    def __init__(self, *signs: None, beating: bool = False) -> None:
        self._signs = [*signs]
        self._beating = beating
        self._looks = 0

    def poll(self) -> bool:
        """Whether something is there to be read."""
        self._looks += 1
        return bool(self._signs) or (self._beating and self._looks % 2 == 1)

    def recv(self) -> None:
        """A sign of life."""
        if self._signs:
            self._signs.pop()


class Process:
    """One that lives."""

    def is_alive(self) -> bool:
        """It does."""
        return True


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short times."""
    for name, seconds in (("SILENCE", 0.1), ("BEGINS", 0.2), ("LONGEST", 0.4)):
        monkeypatch.setattr(running, name, seconds)


async def test_who_falls_silent_after_the_beginning_is_told_of_the_answer() -> None:
    assert await running.listen(Pipe(None), Process()) is None


async def test_a_process_that_never_begins_or_is_never_done_says_nothing_about_the_answer() -> None:
    for pipe in (Pipe(), Pipe(beating=True)):
        assert await running.listen(pipe, Process()) is running.TOO_BUSY
    assert "says nothing about your answer" in running.TOO_BUSY.says
