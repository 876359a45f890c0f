"""One topic, one type."""

from __future__ import annotations

from enum import Enum
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload

from streamlib.errors import InvalidTopicError
from streamlib.wire.binding import TopicTypes, check_topic


class Animal: ...


class Dog(Animal): ...


class Topic(str, Enum):
    STATUS = "status"


def test_a_topic_keeps_its_type() -> None:
    types = TopicTypes()
    assert types.bind("pets", Dog) is Dog
    assert types.bind("pets", Dog) is Dog
    assert types.bind("others", Animal) is Animal


def test_without_a_type_it_is_any() -> None:
    types = TopicTypes()
    assert types.bind("mixed", None) is Any
    assert types.bind("mixed", Any) is Any


@pytest.mark.parametrize("other", [Animal, None, list[Dog]])
def test_another_type_raises_also_a_base_class_and_the_first_one_stands(other: Any) -> None:
    types = TopicTypes()
    types.bind("pets", Dog)
    with pytest.raises(RuntimeError, match=r"'pets' is already bound to type .*Dog"):
        types.bind("pets", other)
    assert types.bind("pets", Dog) is Dog


def test_payload_is_no_type_for_a_topic_and_does_not_bind_it() -> None:
    types = TopicTypes()
    with pytest.raises(RuntimeError, match="RawValue"):
        types.bind("raw", Payload)
    assert types.bind("raw", Dog) is Dog


@pytest.mark.parametrize("name", ["", None, 3, b"bytes", ["a"], "half a pair \ud800"])
def test_what_is_no_topic_name_raises_and_names_it(name: object) -> None:
    with pytest.raises(InvalidTopicError) as raised:
        TopicTypes().bind(name, Dog)  # type: ignore[arg-type]
    assert raised.value.topic == name


@pytest.mark.parametrize("name", ["a", "ünï", "<img src=x onerror=alert(1)>", " "])
def test_any_text_is_a_topic_name(name: str) -> None:
    assert check_topic(name) == name


def test_an_enums_member_is_its_value() -> None:
    assert check_topic(Topic.STATUS) == "status"
    assert type(check_topic(Topic.STATUS)) is str
