"""What can go wrong around the notebooks: processes, not streams.

A notebook shows each as one message (`OneLineError`), because a traceback through the lab would
only hide it. `ServerUnavailableError` lives with `connect`, which has no lab to import.
"""

from __future__ import annotations

from streamlib.scenarios.connect import ServerUnavailableError
from streamlib.scenarios.program import OneLineError

__all__ = ["LabError", "OneLineError", "ServerUnavailableError", "WorkerDiedError"]


class LabError(OneLineError):
    """Something the lab was asked for cannot be done; the message says what to do."""


class WorkerDiedError(LabError):
    """The background worker ended when it should be running.

    Attributes:
        log_tail: The last lines it wrote, which usually hold the reason.
    """

    def __init__(self, what: str, log_tail: str) -> None:
        super().__init__(what)
        self.what = what
        self.log_tail = log_tail

    def __str__(self) -> str:
        """What happened, then the last lines of the log."""
        return f"{self.what} Its log ends:\n{self.log_tail or '(it wrote nothing)'}"
