"""What ends a question at once, what is tried again, and after how long: one table, pure.

    what went wrong                                         error           again?
    HTTP 408, 409, 425, 429, 5xx; as much in mid-stream     LLMRefused      after what it asks for
    any other status; a used-up quota; the same in mid-stream   LLMRefused  no
    not the protocol: a page, a redirect, another scheme    LLMAddress      no
    text that is no text                                    LLMUnreadable   no
    a text that is too long                                 LLMTooLong      no
    no text in time                                         LLMStalled      yes
    no connection; or it broke, or closed before the end    LLMCutOff       yes

"Again" without a time is left to the activity's retry policy. What is said is in our own words:
a server's may quote the key, and an error goes into the history. Who asks: `model.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime

from temporalio.exceptions import ApplicationError

MAY_PASS = {408, 409, 425, 429}
"""Statuses below 500 that another attempt may not meet; any from 500 on is one too."""

CODES = {
    "invalid_request_error": 400,
    "context_length_exceeded": 400,
    "content_filter": 400,
    "content_policy_violation": 400,
    "invalid_api_key": 401,
    "authentication_error": 401,
    "insufficient_quota": 402,
    "permission_error": 403,
    "model_not_found": 404,
    "not_found_error": 404,
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "server_error": 500,
    "overloaded_error": 503,
}
"""The words for errors that are known, and the status that each stands for. Others are not
repeated: a server may send a key in their place."""

ADDRESS = "check OPENAI_BASE_URL"

ADVICE = {
    401: ": check OPENAI_API_KEY",
    402: ": the account has no quota left",
    404: f": check OPENAI_MODEL and {ADDRESS[6:]}",
}

LONGEST_WAIT = 60.0
"""Seconds, however long a server asks to wait for."""


@dataclass(frozen=True)
class Failure:
    """Why an attempt failed, and whether another one may help."""

    type: str
    says: str
    again: bool = True
    after: timedelta | None = None
    """None leaves it to the retry policy."""

    def error(self) -> ApplicationError:
        """What the activity raises: Temporal tries again, or does not."""
        return ApplicationError(
            self.says, type=self.type, non_retryable=not self.again, next_retry_delay=self.after
        )


STALLED = Failure("LLMStalled", "no token in time")
UNREACHABLE = Failure(
    "LLMCutOff", f"the LLM server cannot be reached: is it running? Else {ADDRESS}"
)
NO_END = Failure("LLMCutOff", "the text ended without an end")
NOT_AN_LLM = Failure(
    "LLMAddress", f"what answers there does not stream a model's text: {ADDRESS}", again=False
)


def cut_off(how: str) -> Failure:
    """The connection broke, or what came could not be read to its end."""
    return Failure("LLMCutOff", f"cut off: {how}")


def unreadable(kind: str) -> Failure:
    """The protocol is another one."""
    return Failure("LLMUnreadable", f"the server sent a {kind}, which is no text", again=False)


def too_long(limit: int) -> Failure:
    """A text that fits into no result."""
    says = f"the text has more than {limit:,} bytes: ask for less, or limit the model's tokens"
    return Failure("LLMTooLong", says, again=False)


def refused(status: int, error: object, headers: Mapping[str, str], now: datetime) -> Failure:
    """An HTTP answer from 300 on.

    Args:
        status: Its status.
        error: The `error` object of its body, whatever that is.
        headers: Its headers, by lower-case names.
        now: The time, for a `Retry-After` that is a date.
    """
    if status < 400:
        return Failure("LLMAddress", f"the LLM server redirects ({status}): {ADDRESS}", again=False)
    code = _code(error)
    meant = 402 if CODES.get(code) == 402 else status  # "too many requests", but for good
    again = _may_pass(meant)
    says = f"the LLM server answered {status} {code}".strip() + ADVICE.get(meant, "")
    after = asked_to_wait(headers, now) if again else None
    return Failure("LLMRefused", says, again, after)


def in_stream(error: object) -> Failure:
    """An error that the server sent in the middle of its answer; unknown ones may pass."""
    code = _code(error)
    status = CODES.get(code) or _number(error) or 500
    says = f"the LLM server broke off {code}".strip() + ADVICE.get(status, "")
    return Failure("LLMRefused", says, again=_may_pass(status))


def _may_pass(status: int) -> bool:
    return status in MAY_PASS or status >= 500


def _code(error: object) -> str:
    """The known word in an error, or nothing."""
    if isinstance(error, Mapping):
        for name in ("code", "type"):
            if isinstance(word := error.get(name), str) and word in CODES:
                return word
    return ""


def _number(error: object) -> int | None:
    """The HTTP status in an error, where a server sends one as the code."""
    code = error.get("code") if isinstance(error, Mapping) else None
    text = str(code) if isinstance(code, int | str) else ""
    return int(text) if len(text) == 3 and text.isdecimal() and text.isascii() else None


def asked_to_wait(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """How long a server asks to wait, up to a minute; None if it does not, or not legibly.

    `Retry-After` has seconds or a date; `retry-after-ms`, where there is one, is more exact.
    """
    seconds = _float(headers.get("retry-after-ms", "")) / 1000
    if not math.isfinite(seconds):
        value = headers.get("retry-after", "")
        seconds = _float(value)
        if math.isnan(seconds):
            seconds = _until(value, now)
    if not math.isfinite(seconds):
        return None
    return timedelta(seconds=min(max(seconds, 0.0), LONGEST_WAIT))


def _float(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        return math.nan


def _until(value: str, now: datetime) -> float:
    """Seconds until a date; NaN if it is none."""
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):  # the last one: a year of thirty digits
        return math.nan
    zoned = date if date.tzinfo else date.replace(tzinfo=timezone.utc)
    return (zoned - now).total_seconds()
