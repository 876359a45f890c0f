"""A network that loses an acknowledgement, on demand: what a lesson and a view break on purpose."""

from __future__ import annotations

from typing import Any

from temporalio.client import RPCError, WorkflowHandle
from temporalio.service import RPCStatusCode


class LossyHandle:
    """A workflow handle that can lose an acknowledgement: the signal arrives, the answer does not.

    What a network does now and then. The client takes it for an outage and sends the same batch
    again, and the stream must notice.

    Example:
        lossy = lab.LossyHandle(hub)
        stream = WorkflowStreamClient(lossy, client=session.client)
        lossy.lose_next = True      # the next signal arrives, and seems to have failed
    """

    def __init__(self, handle: WorkflowHandle[Any, Any]) -> None:
        self.id = handle.id
        self.run_id = handle.run_id
        self.lose_next = False
        """Whether the next acknowledgement is lost; False again once it was."""
        self.lost = 0
        """How many were lost so far."""
        self._handle = handle

    async def signal(self, *args: Any, **kwargs: Any) -> None:
        """Signal; then, once if asked to, fail as if no answer had come.

        Raises:
            RPCError: The answer was lost, or the server refused the signal.
        """
        await self._handle.signal(*args, **kwargs)
        if self.lose_next:
            self.lose_next = False
            self.lost += 1
            raise RPCError("the acknowledgement was lost", RPCStatusCode.UNAVAILABLE, b"")
