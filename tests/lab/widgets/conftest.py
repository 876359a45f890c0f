"""A hub on the lab's own server and worker, its stream, and views of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle

from streamlib import WorkflowStreamClient, lab
from streamlib.lab import view
from streamlib.lab.widgets.stream_view import StreamView
from streamlib.scenarios.hub import HubWorkflow
from tests.lab.widgets.page import Browser, Open


@pytest.fixture
async def hub(session: lab.Session) -> AsyncIterator[WorkflowHandle[HubWorkflow, str]]:
    """On the background worker: a first look waits for an answer while this loop stands still."""
    yield await lab.host(session)
    await lab.close_hosts(session)


@pytest.fixture
def stream(client: Client, hub: WorkflowHandle[HubWorkflow, str]) -> WorkflowStreamClient:
    return WorkflowStreamClient.create(client, hub.id)


@pytest.fixture
async def open_view(stream: WorkflowStreamClient) -> AsyncIterator[Open]:
    opened: list[StreamView] = []

    async def opener(*panels: str, **options: Any) -> Browser:
        opened.append(view(options.pop("of", stream), *panels, **options))
        return Browser(opened[-1])

    yield opener
    for each in opened:
        await each.stop()
