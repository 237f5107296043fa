"""The bodies of HTTP requests with log lines, and what the answers mean: `otlp`, `loki`, `elasticsearch`, `ndjson`.

An envelope takes rendered lines as they are. None of them reads a line as JSON: they look at fixed places of it, or at
its ends. So each needs lines of a certain `format`, and says so when the sink is added.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple

from logly.config.checks import JSON_LAYOUTS
from logly.errors import ConfigError, LoglyError, invalid, show

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from logly.config.schema import SinkConfig

__all__ = ["ENVELOPES", "Answer", "Elasticsearch", "Envelope", "Loki", "NdJson", "Otlp", "Outcome"]

OTLP_RECORDS = b'"logRecords":['
OTLP_BEGIN = b'{"resourceLogs":['
OTLP_END = b"]}]}]}"
SHOWN_BYTES = 300
NOT_YET = frozenset({401, 403, 404})
"""What a server says of a token that has just been rotated, and of a path whose service is being deployed."""


class Answer(NamedTuple):
    """What a server has answered."""

    status: int
    body: bytes

    @property
    def text(self) -> str:
        """The status and the beginning of the body, for people."""
        body = self.body[:SHOWN_BYTES].decode("utf-8", "replace").strip()
        return f"HTTP {self.status}: {body}" if body else f"HTTP {self.status}"


class Outcome(NamedTuple):
    """What has become of the lines of a request. Lines are numbered from 0 on."""

    again: Sequence[int] = ()
    """These are to be sent again."""
    refused: Sequence[int] | int = ()
    """These are given up. A number: so many, and the server does not say which."""
    reason: str = ""


class Envelope:
    """Base of the envelopes, and of your own: what a request looks like, and what its answer means.

    Attributes:
        content_type: the header ``Content-Type``.
        path: added to a URL without a path.
        retried: statuses after which the same request may be sent again. (All others from 300 on are final.)
    """

    content_type = "application/x-ndjson"
    path = ""
    retried = NOT_YET | {408, 425, 429, *range(500, 600)}

    def check_sink(self, config: SinkConfig) -> None:
        """Raise ConfigError where the sink's lines are none for this envelope; not where that is unknown."""

    def body(self, lines: bytes) -> bytes:
        """The body of a request with these lines; each ends with a line break."""
        return lines

    def outcome(self, answer: Answer, count: int) -> Outcome:
        """What has become of the `count` lines of a request. The answer's status is below 300.

        What it raises keeps the batch, which is sent again: for an answer that does not say what has become of it.
        """
        return Outcome()


class NdJson(Envelope):
    """Lines of JSON as they are: Vector, Fluent Bit, Logstash, Datadog's agent, and most services of your own."""

    def check_sink(self, config: SinkConfig) -> None:
        check_json(config, "ndjson")


class Otlp(Envelope):
    """OTLP/HTTP in JSON. Records with the same resource and scope become one group."""

    content_type = "application/json"
    path = "/v1/logs"
    # The protocol permits these four only. What has `NOT_YET` has not come to a collector.
    retried = NOT_YET | {429, 502, 503, 504}

    def check_sink(self, config: SinkConfig) -> None:
        if config.format != "otlp":
            raise ConfigError(
                f'format = {show(config.format)}: envelope="otlp" needs format="otlp"',
                field="format",
                value=config.format,
            )

    def body(self, lines: bytes) -> bytes:
        # A quotation mark within a JSON string is escaped, so the first such bytes are the key itself.
        begin = lines[: lines.find(OTLP_RECORDS) + len(OTLP_RECORDS)]
        if lines.count(b"\n" + begin) + 1 == lines.count(b"\n"):  # one resource and scope, as most batches have
            return lines[:-1].replace(OTLP_END + b"\n" + begin, b",")
        groups: dict[bytes, list[bytes]] = {}
        for line in lines.split(b"\n")[:-1]:
            end = line.find(OTLP_RECORDS) + len(OTLP_RECORDS)
            groups.setdefault(line[len(OTLP_BEGIN) : end], []).append(line[end : -len(OTLP_END)])
        of_resources = [begin + b",".join(groups[begin]) + OTLP_END[:-2] for begin in groups]
        return OTLP_BEGIN + b",".join(of_resources) + b"]}"

    def outcome(self, answer: Answer, count: int) -> Outcome:
        refuse_page(answer)
        partial = object_of(answer.body).get("partialSuccess")
        if not isinstance(partial, dict):
            return Outcome()
        rejected = whole_number(partial.get("rejectedLogRecords"))
        if rejected <= 0:
            return Outcome()
        reason = (
            f"the collector rejected {rejected} of {count} records: {partial.get('errorMessage') or 'no reason given'}"
        )
        return Outcome(refused=min(rejected, count), reason=reason)


class Loki(Envelope):
    """Loki's push API. Each line has the time of its record. Its labels are `labels` and the level's name."""

    content_type = "application/json"
    path = "/loki/api/v1/push"
    retried = NOT_YET | {429, *range(500, 600)}

    def __init__(self, labels: Mapping[str, str] | None = None, level_label: str | None = "level") -> None:
        self.labels = {"job": "logly"} if labels is None else dict(labels)
        self.level_label = level_label
        for name in self.labels:
            if not isinstance(name, str) or not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", name):
                raise invalid("labels", name, "names of letters, digits and underscores for Loki's labels")
            if not isinstance(self.labels[name], str):
                raise invalid(f"labels[{name!r}]", self.labels[name], "text as the value of a label")
        if not self.labels and level_label is None:
            raise invalid("labels", labels, "at least one label, as Loki does")

    def check_sink(self, config: SinkConfig) -> None:
        is_plain = config.format == "json" or (config.format is None and config.json is not False)  # as in `check_json`
        keys = config.json_keys or {}
        if not is_plain or config.json_time != "epoch_ns" or not {"timestamp", "level"}.isdisjoint(keys):
            raise ConfigError(
                f'format = {show(config.format)}, json_time = {show(config.json_time)}: envelope="loki" needs '
                'format="json" and json_time="epoch_ns", with the keys "timestamp" and "level", because time and '
                "level of each line are taken from there",
                field="format",
                value=config.format,
            )

    def body(self, lines: bytes) -> bytes:
        streams: dict[str, list[str]] = {}
        for line in lines.decode("utf-8", "replace").split("\n")[:-1]:
            # Plain JSON begins with these two members, in this order. The text of a level may have escapes: as in JSON.
            found = re.match(r'\{"timestamp":(\d+),"level":("(?:[^"\\]|\\.)*")', line)
            time, level = (found[1], found[2]) if found is not None else ("0", '"UNKNOWN"')
            streams.setdefault(level if self.level_label else "", []).append(f'["{time}",{json.dumps(line)}]')
        return b'{"streams":[' + ",".join(map(self._stream, streams, streams.values())).encode() + b"]}"

    def outcome(self, answer: Answer, count: int) -> Outcome:
        refuse_page(answer)
        return Outcome()

    def _stream(self, level: str, values: list[str]) -> str:
        labels = dict(self.labels)
        if self.level_label is not None:
            labels[self.level_label] = json.loads(level)
        return f'{{"stream":{json.dumps(labels)},"values":[{",".join(values)}]}}'


class Elasticsearch(Envelope):
    """The ``_bulk`` API of Elasticsearch and OpenSearch. The index, or the data stream, is a part of the path."""

    def __init__(self, index: str | None = None) -> None:
        if index is not None and (not isinstance(index, str) or not index or set(index) & set('\\/*?"<>| ,#')):
            raise invalid("index", index, "the name of an index or a data stream, like logs-shop-default")
        self.path = "" if index is None else f"/{index}/_bulk"

    def check_sink(self, config: SinkConfig) -> None:
        if config.format == "otlp":
            raise ConfigError(
                'format = \'otlp\': envelope="elasticsearch" needs documents: use format="ecs"',
                field="format",
                value="otlp",
            )
        check_json(config, "elasticsearch")

    def body(self, lines: bytes) -> bytes:
        action = b'{"create":{}}\n'
        return action + lines[:-1].replace(b"\n", b"\n" + action) + b"\n"

    def outcome(self, answer: Answer, count: int) -> Outcome:
        found = object_of(answer.body)
        if found.get("errors") is False:
            return Outcome()
        results = self._results(found.get("items"), count)
        if results is None:
            text = f"this is no answer of _bulk for {count} documents, so they are sent again (is there a filter_path?)"
            raise LoglyError(f"{text}: {answer.text}")
        again: list[int] = []
        refused: list[int] = []
        reasons: dict[str, object] = {}
        for number, result in enumerate(results):
            status = result["status"]
            if status < 300:
                continue
            (again if status == 429 or status >= 500 else refused).append(number)
            error = result.get("error")
            reasons[f"{status} {error.get('type') if isinstance(error, dict) else error}"] = error
        shown = "; ".join(f"{one}: {show(reasons[one])}" for one in list(reasons)[:3])
        text = f"of {count} documents, {len(again)} failed for now and {len(refused)} for good: {shown}"
        return Outcome(again, refused, text)

    @staticmethod
    def _results(items: Any, count: int) -> list[dict[str, Any]] | None:
        """What the answer says of each document; None: it does not say that of all of them, or of others."""
        if not isinstance(items, list) or len(items) != count:
            return None
        results = []
        for item in items:
            result = next(iter(item.values()), None) if isinstance(item, dict) else None
            if not isinstance(result, dict) or type(result.get("status")) is not int:
                return None
            results.append(result)
        return results


ENVELOPES: dict[str, type[Envelope]] = {"elasticsearch": Elasticsearch, "loki": Loki, "ndjson": NdJson, "otlp": Otlp}


def check_json(config: SinkConfig, envelope: str) -> None:
    """Raise ConfigError unless the sink's lines are JSON objects, or may be, as those of a template."""
    template = config.format
    if template in JSON_LAYOUTS or (template is None and config.json is not False):
        return  # None: the logger's settings say whether they are JSON, see `BatchSink`
    if template is not None and template.startswith("{{") and template.rstrip("\n").endswith("}}"):
        return  # of the user's own: {"text":{message:json}}
    raise ConfigError(
        f'format = {show(template)}: envelope="{envelope}" needs lines of JSON: use format="json", or a preset',
        field="format",
        value=template,
    )


def refuse_page(answer: Answer) -> None:
    """Raise LoglyError for a page of HTML: something between, like the login of a network, has answered."""
    if answer.body.lstrip()[:1] == b"<":
        raise LoglyError(f"something else has answered, and the batch is sent again: {answer.text}")


def object_of(body: bytes) -> dict[str, Any]:
    """The object that an answer is in JSON; an empty one where it is something else."""
    try:
        found = json.loads(body) if body else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def whole_number(value: Any) -> int:
    """A number of an answer; in JSON of protocol buffers it may be text."""
    try:
        return int(value)
    except (TypeError, ValueError):
        return 0
