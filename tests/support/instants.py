"""Instants as the library has them: nanoseconds since 1970-01-01 UTC. The fixture `in_zone` is in conftest.py."""

from datetime import UTC, datetime

SECOND = 1_000_000_000


def ns(text: str) -> int:
    """The instant that an ISO 8601 date (and time of day) names in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND
