"""The public names are the peer's, keyword for keyword; what is added comes after, optional."""

from __future__ import annotations

import inspect
from dataclasses import fields
from datetime import timedelta
from inspect import Parameter
from typing import Any

import pytest
from temporalio.contrib import workflow_streams as peer

import streamlib

CLASSES = ["WorkflowStream", "WorkflowStreamClient", "TopicHandle", "WorkflowTopicHandle"]
METHODS = [
    (name, method)
    for name in CLASSES
    for method, value in vars(getattr(peer, name)).items()
    if (method == "__init__" or not method.startswith("_")) and not isinstance(value, property)
]
# The one deviation: None says "as fast as it costs nothing", which no timedelta could.
POLL_COOLDOWN = ("poll_cooldown", Parameter.KEYWORD_ONLY, timedelta(milliseconds=100))


def parameters(function: Any) -> list[tuple[str, Any, Any]]:
    return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]


def test_every_public_name_of_the_peer_is_ours_too() -> None:
    assert set(peer.__all__) <= set(streamlib.__all__)
    assert all(hasattr(streamlib, name) for name in streamlib.__all__)
    assert sorted(set(streamlib.__all__)) == sorted(streamlib.__all__)


@pytest.mark.parametrize(("name", "method"), METHODS)
def test_a_method_takes_what_the_peers_takes_and_the_rest_is_optional(
    name: str, method: str
) -> None:
    ours = parameters(getattr(getattr(streamlib, name), method))
    theirs = parameters(getattr(getattr(peer, name), method))
    if POLL_COOLDOWN in theirs:
        theirs[theirs.index(POLL_COOLDOWN)] = (*POLL_COOLDOWN[:2], None)
    assert ours[: len(theirs)] == theirs
    for _, kind, default in ours[len(theirs) :]:
        assert (kind, default is Parameter.empty) == (Parameter.KEYWORD_ONLY, False)


@pytest.mark.parametrize("name", ["TopicHandle", "WorkflowTopicHandle"])
def test_a_handle_has_the_peers_properties(name: str) -> None:
    for prop, value in vars(getattr(peer, name)).items():
        if isinstance(value, property):
            assert isinstance(vars(getattr(streamlib, name))[prop], property)


@pytest.mark.parametrize("name", sorted(set(peer.__all__) - set(CLASSES)))
def test_a_dataclass_begins_with_the_peers_fields(name: str) -> None:
    ours = [field.name for field in fields(getattr(streamlib, name))]
    theirs = [field.name for field in fields(getattr(peer, name))]
    assert ours[: len(theirs)] == theirs
