"""The decision table: what ends at once, what is tried again, after how long, in whose words."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamlib.scenarios import failures
from streamlib.scenarios.failures import ADVICE, CODES, asked_to_wait, in_stream, refused

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("status", "error", "type", "says", "again"),
    [
        (400, None, "LLMRefused", "answered 400", False),
        (401, {"code": "invalid_api_key"}, "LLMRefused", "invalid_api_key: check OPENAI", False),
        (401, {"code": 401}, "LLMRefused", "answered 401: check OPENAI_API_KEY", False),
        (402, "pay", "LLMRefused", "no quota left", False),
        (404, {"code": "model_not_found"}, "LLMRefused", "check OPENAI_MODEL and OPENAI_B", False),
        (422, [], "LLMRefused", "answered 422", False),
        (429, {"code": "insufficient_quota"}, "LLMRefused", "no quota left", False),
        (429, {"code": "rate_limit_exceeded"}, "LLMRefused", "429 rate_limit_exceeded", True),
        (408, {}, "LLMRefused", "answered 408", True),
        (409, {}, "LLMRefused", "answered 409", True),
        (425, {}, "LLMRefused", "answered 425", True),
        (500, {"type": "server_error"}, "LLMRefused", "answered 500 server_error", True),
        (529, {"type": "overloaded_error"}, "LLMRefused", "529 overloaded_error", True),
        (301, None, "LLMAddress", "redirects (301): check OPENAI_BASE_URL", False),
        (308, None, "LLMAddress", "redirects (308): check OPENAI_BASE_URL", False),
    ],
)  # fmt: skip
def test_an_http_answer(status: int, error: object, type: str, says: str, again: bool) -> None:
    failure = refused(status, error, {}, NOW)
    assert (failure.type, failure.again, failure.after) == (type, again, None)
    assert says in failure.says


@pytest.mark.parametrize(
    ("error", "says", "again"),
    [
        ({"code": "invalid_api_key"}, "invalid_api_key: check OPENAI_API_KEY", False),
        ({"code": 401}, "check OPENAI_API_KEY", False),
        ({"code": "404"}, "check OPENAI_MODEL", False),
        ({"code": "400"}, "broke off", False),
        ({"code": None, "type": "invalid_request_error"}, "invalid_request_error", False),
        ({"code": "insufficient_quota"}, "no quota left", False),
        ({"code": 429}, "broke off", True),
        ({"code": 503}, "broke off", True),
        ({"code": "²00"}, "broke off", True),
        ({"code": 1e400}, "broke off", True),
        ({"code": True}, "broke off", True),
        ({"type": "overloaded_error"}, "overloaded_error", True),
        ("a sentence", "broke off", True),
        (7, "broke off", True),
    ],
)
def test_an_error_in_mid_stream_is_as_the_http_answer_would_be(
    error: object, says: str, again: bool
) -> None:
    failure = in_stream(error)
    assert (failure.type, failure.again) == ("LLMRefused", again)
    assert says in failure.says


@settings(deadline=None)  # a busy machine stands still for longer
@given(
    st.sampled_from([400, 401, 404, 429, 500]),
    st.text("abcdefghijklmnopqrstuvwxyz_", min_size=8).filter(lambda key: key not in CODES),
)
def test_a_server_s_words_are_never_repeated_whatever_the_key_is_made_of(
    status: int, key: str
) -> None:
    """Not even those that look like an error's code."""
    ours = " ".join([*CODES, *ADVICE.values(), "the LLM server answered broke off"])
    for error in ({"code": key}, {"type": key}, {"code": key, "type": key, "message": key}, key):
        for failure in (refused(status, error, {"retry-after": key}, NOW), in_stream(error)):
            assert key not in failure.says or key in ours
            assert failure.after is None


NUMBERS = st.integers(0, 10**40).map(str)
NUMBERED = st.builds(
    "Wed, {} Oct {} {}:28:00 {:+}".format, NUMBERS, NUMBERS, NUMBERS, st.integers()
)
"""As dates are written, of numbers that are none of a date."""


def seconds(value: str) -> float | None:
    asked = asked_to_wait({"retry-after": value}, NOW)
    return None if asked is None else asked.total_seconds()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2", 2),
        ("1.5", 1.5),
        ("0", 0),
        ("-3", 0),
        ("1e300", 60),
        ("86400", 60),
        ("Sat, 21 Nov 2026 12:00:30 GMT", 30),
        ("Sat, 21 Nov 2026 13:00:30 +0100", 30),
        ("Sat, 21 Nov 2026 12:00:30 -0000", 30),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Wed, 21 Oct 2099 07:28:00 GMT", 60),
        ("nan", None),
        ("inf", None),
        ("-inf", None),
        ("", None),
        ("later", None),
        ("Wed, 99 Oct 2099 07:28:00 GMT", None),
        (f"Wed, 21 Oct {'9' * 30} 07:28:00 GMT", None),
        (f"Wed, 21 Oct 2099 {'9' * 30}:28:00 GMT", None),
        (f"Wed, 21 Oct 2099 07:28:00 +{'9' * 30}", None),
        ("2, 3", None),
    ],
)
def test_what_a_server_asks_to_wait_for(value: str, expected: float | None) -> None:
    assert seconds(value) == expected


@settings(deadline=None)  # a busy machine stands still for longer
@given(
    *[st.text() | st.floats().map(str) | st.datetimes().map(str) | NUMBERED] * 2,
)
def test_no_header_makes_it_fail(value: str, milliseconds: str) -> None:
    headers = {"retry-after": value, "retry-after-ms": milliseconds}
    asked = asked_to_wait(headers, NOW)
    assert asked is None or timedelta() <= asked <= timedelta(minutes=1)


@pytest.mark.parametrize(
    ("milliseconds", "seconds", "expected"),
    [("1500", "2", 1.5), ("1500", "", 1.5), ("nan", "2", 2), ("soon", "2", 2), ("9e9", "2", 60)],
)
def test_milliseconds_are_more_exact_than_seconds(
    milliseconds: str, seconds: str, expected: float
) -> None:
    headers = {"retry-after": seconds, "retry-after-ms": milliseconds}
    assert asked_to_wait(headers, NOW) == timedelta(seconds=expected)


def test_only_what_is_tried_again_waits_and_temporal_is_told() -> None:
    headers = {"retry-after": "2"}
    again = refused(429, None, headers, NOW).error()
    assert (again.non_retryable, again.next_retry_delay) == (False, timedelta(seconds=2))
    final = refused(401, None, headers, NOW).error()
    assert (final.non_retryable, final.next_retry_delay) == (True, None)
    for failure in (failures.STALLED, failures.NO_END, failures.cut_off("x")):
        assert not failure.error().non_retryable
    for failure in (failures.NOT_AN_LLM, failures.unreadable("list"), failures.too_long(7)):
        assert failure.error().non_retryable
