"""How values that JSON has no form for are spelled: dates, times, durations."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from werkzeug.http import http_date

from .problems import Problem

if TYPE_CHECKING:
    from ..policy import Policy


def spell_datetime(value: dt.datetime, policy: Policy) -> str:
    """Return an HTTP date (:rfc:`9110#section-5.6.7`), or :rfc:`3339` with all microseconds."""
    is_naive = value.tzinfo is None or dt.datetime.utcoffset(value) is None
    if is_naive and policy.naive == "error":
        raise Problem(
            f"'{{path}}' is {value!r} without a time zone: give it one, or set"
            " 'CONCURRENCY_GUARD_JSON_NAIVE' to 'utc' or 'keep'."
        )
    if policy.datetime == "http":
        try:
            return http_date(value)
        except OverflowError:
            raise Problem(
                f"'{{path}}' is {value!r}, which lies outside of the years 1 to 9999 in UTC, as"
                " HTTP dates are told: send another date, or set 'CONCURRENCY_GUARD_JSON_DATETIME'"
                " to 'iso'."
            ) from None

    text = dt.datetime.isoformat(value)
    if is_naive:
        return text + "Z" if policy.naive == "utc" else text
    return _with_z(text)


def spell_date(value: dt.date, policy: Policy) -> str:
    """Return an HTTP date at midnight, or ``YYYY-MM-DD``."""
    return http_date(value) if policy.datetime == "http" else dt.date.isoformat(value)


def spell_time(value: dt.time) -> str:
    """Return ``HH:MM:SS`` with microseconds and offset if there are any."""
    return _with_z(dt.time.isoformat(value))


def spell_timedelta(value: dt.timedelta) -> str:
    """Return an ISO 8601 duration in days and seconds, such as ``P1DT2.5S``."""
    sign, value = ("-", -value) if value.days < 0 else ("", value)
    text = f"{sign}P"
    if value.days or not (value.seconds or value.microseconds):
        text += f"{value.days}D"
    if value.seconds or value.microseconds:
        fraction = f".{value.microseconds:06}".rstrip("0") if value.microseconds else ""
        text += f"T{value.seconds}{fraction}S"
    return text


def encodable(text: str) -> str:
    """Return a string as UTF-8 can hold it, with whole characters in place of surrogate pairs."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        try:
            return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
        except UnicodeDecodeError:
            raise Problem(
                f"'{{path}}' has the lone surrogate {text[error.start]!r}, which UTF-8 can't hold:"
                " replace it, with 'errors=\"replace\"' where the text was decoded."
            ) from None
    return text


def _with_z(text: str) -> str:
    return text[:-6] + "Z" if text.endswith("+00:00") else text
