"""Each envelope against a server that takes and refuses what the real one does, written from its published format."""

from __future__ import annotations

import json
from typing import Any

import pytest

from logly import BatchRefused, ConfigError, Logger, RetryBatch, SinkConfig
from tests.support.http_servers import ElasticsearchServer, HttpServer, LokiServer, Request, as_json, problem
from tests.support.loggers import assert_books, make_logger
from tests.support.waiting import wait_until

pytest.importorskip("urllib3")
from logly.http import HttpSink

NASTY = 'quotes " \\" and "logRecords":[ and \\n \u2028 \x00 {"resourceLogs":[ ]}]}]} end'


def sending_logger(sink: HttpSink, told: list[Exception] | None = None, **settings: Any) -> Logger:
    logger = make_logger(on_error=(told if told is not None else []).append, stall_timeout=60)
    logger.add_sink(SinkConfig(**{"batch": sink, "flush_interval": 3_600_000, **settings}))
    return logger


# ---- OTLP


class OtlpServer(HttpServer):
    """An OTLP/HTTP receiver that reads requests with OpenTelemetry's own classes. Keeps the groups of records."""

    def __init__(self) -> None:
        # Before the socket is made, which nobody would close where a test is skipped here.
        self.parse = pytest.importorskip("google.protobuf.json_format").Parse
        self.kind = pytest.importorskip(
            "opentelemetry.proto.collector.logs.v1.logs_service_pb2"
        ).ExportLogsServiceRequest
        super().__init__(self._export)
        self.groups: list[tuple[str, list[str]]] = []
        self.rejects = 0

    def _export(self, request: Request) -> Any:
        if request.path != "/v1/logs":
            return problem(404, "404 page not found")
        if request.headers["content-type"] != "application/json":
            return problem(415, "415 unsupported media type")
        try:
            found = self.parse(request.body, self.kind())
        except Exception as trouble:  # noqa: BLE001
            return as_json(400, {"code": 3, "message": str(trouble)})
        for of_resource in found.resource_logs:
            for scope in of_resource.scope_logs:
                self.groups.append((scope.scope.name, [record.body.string_value for record in scope.log_records]))
        if self.rejects:
            told = {"rejectedLogRecords": str(self.rejects), "errorMessage": "too old"}
            return as_json(200, {"partialSuccess": told})
        return as_json(200, {"partialSuccess": {}})


def test_otlp_groups_records_by_scope_and_keeps_every_byte() -> None:
    with OtlpServer() as server:
        sink = HttpSink(server.url, envelope="otlp")
        with sending_logger(sink, format="otlp", json_static={"service.name": NASTY}) as logger:
            one, two = logger.named("one"), logger.named("two")
            expected: dict[str, list[str]] = {"one": [], "two": []}
            for number in range(100):
                one.info("{} {}", NASTY, number)
                expected["one"].append(f"{NASTY} {number}")
            assert logger.flush(30)
            assert len(server.groups) == 1
            for number in range(100):
                (one if number % 3 else two).info("{} {}", NASTY, number)
                expected["one" if number % 3 else "two"].append(f"{NASTY} {number}")
            assert logger.flush(30)
            found: dict[str, list[str]] = {"one": [], "two": []}
            for scope, bodies in server.groups:
                found[scope.rpartition(".")[2]].extend(bodies)
            assert found == expected
            assert len(server.groups) == 3
            assert_books(logger, 200)


def test_records_that_a_collector_rejects_are_counted_told_and_not_sent_again() -> None:
    told: list[Exception] = []
    with OtlpServer() as server:
        server.rejects = 2
        with sending_logger(HttpSink(server.url, envelope="otlp"), told, format="otlp") as logger:
            for number in range(5):
                logger.info("{}", number)
            assert logger.flush(30)
            assert (logger.stats().written, logger.stats().failed) == (3, 2)
            server.rejects = 0
        assert sum(len(bodies) for _, bodies in server.groups if "lost" not in bodies[0]) == 5
    wait_until(lambda: told)
    assert str(told[0]).startswith("2 records given up")
    assert "the collector rejected 2 of 5 records: too old" in str(told[0])


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_otlp_is_sent_again_after_these_statuses_only(status: int) -> None:
    with OtlpServer() as server:
        line = b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"one"}}]}]}]}\n'
        server.replies.append(problem(status, "later"))
        with pytest.raises(RetryBatch):
            HttpSink(server.url, envelope="otlp")(line, 1)
        server.replies.append(problem(500, "never"))
        with pytest.raises(BatchRefused):
            HttpSink(server.url, envelope="otlp")(line, 1)


# ---- Loki


def test_loki_gets_streams_by_level_with_the_times_of_the_records() -> None:
    with LokiServer() as server:
        sink = HttpSink(server.url, envelope="loki", labels={"service_name": "shop"})
        with sending_logger(sink, format="json", json_time="epoch_ns") as logger:
            for number in range(10):
                logger.info("{} {}", NASTY, number)
                logger.warning("w{}", number)
            assert logger.flush(30)
            assert_books(logger, 20)
        assert set(server.streams) == {
            (("level", "INFO"), ("service_name", "shop")),
            (("level", "WARNING"), ("service_name", "shop")),
        }
        entries = server.streams[("level", "INFO"), ("service_name", "shop")]
        assert [json.loads(line)["message"] for _, line in entries] == [f"{NASTY} {number}" for number in range(10)]
        assert all(json.loads(line)["timestamp"] == time for time, line in entries)


def test_a_level_with_quotes_is_a_label_of_loki() -> None:
    with LokiServer() as server:
        sink = HttpSink(server.url, envelope="loki")
        with sending_logger(sink, format="json", json_time="epoch_ns") as logger:
            logger.add_level('a "B" \\ é', 25)
            logger.log('a "B" \\ é', "one")
            assert logger.flush(30)
        (labels,) = server.streams
        assert dict(labels)["job"] == "logly"
        assert dict(labels)["level"].lower() == 'a "b" \\ é'


def test_loki_keeps_what_is_not_too_old_and_the_batch_is_not_sent_again() -> None:
    told: list[Exception] = []
    with LokiServer(oldest_ns=2**62) as server:
        sink = HttpSink(server.url, envelope="loki")
        with sending_logger(sink, told, format="json", json_time="epoch_ns") as logger:
            logger.info("old")
            assert logger.flush(30)
            assert logger.stats().failed == 1
            assert len(server.requests) == 1
            server.oldest_ns = 0
    assert "timestamp too old" in str(told[0])


@pytest.mark.parametrize("status", [429, 500, 503])
def test_loki_gets_a_batch_again_when_it_is_busy(status: int) -> None:
    with LokiServer() as server:
        server.replies.append(problem(status, "ingestion rate limit exceeded"))
        sink = HttpSink(server.url, envelope="loki")
        with sending_logger(sink, format="json", json_time="epoch_ns") as logger:
            logger.info("one")
            assert logger.flush(30)
        assert len(server.requests) == 2
        assert sum(map(len, server.streams.values())) == 1


# ---- Elasticsearch


def test_elasticsearch_gets_documents() -> None:
    with ElasticsearchServer() as server:
        sink = HttpSink(f"{server.url}/logs-shop-default/_bulk", envelope="elasticsearch")
        with sending_logger(sink, format="ecs") as logger:
            for number in range(100):
                logger.info("{} {}", NASTY, number, number=number)
            assert logger.flush(30)
            assert_books(logger, 100)
        assert [document["message"] for document in server.documents] == [f"{NASTY} {number}" for number in range(100)]
        assert server.requests[0].path == "/logs-shop-default/_bulk"


def test_documents_that_failed_for_now_are_sent_again_alone_and_bad_ones_are_given_up() -> None:
    tries: dict[int, int] = {}

    def fate(document: dict[str, Any]) -> int:
        number = document.get("number", -1)
        tries[number] = tries.get(number, 0) + 1
        if number % 10 == 3:
            return 429 if tries[number] < 3 else 201
        if number % 10 == 5:
            return 503 if tries[number] < 2 else 201
        return 400 if number % 10 == 7 else 201

    told: list[Exception] = []
    with ElasticsearchServer(fate) as server:
        sink = HttpSink(server.url, envelope="elasticsearch", index="logs-shop-default")
        with sending_logger(sink, told, format="ecs") as logger:
            for number in range(100):
                logger.info("{}", number, number=number)
            assert logger.flush(30)
            assert (logger.stats().written, logger.stats().failed) == (90, 10)
            assert_books(logger)
        numbers = sorted(document["number"] for document in server.documents if "number" in document)
        assert numbers == [number for number in range(100) if number % 10 != 7]
        sent = [body.count(b"create") for body in server.bodies]
        assert sent[:3] == [100, 20, 10]
        assert {tries[number] for number in tries if number >= 0 and number % 10 not in (3, 5)} == {1}
    assert sum(int(str(error).split()[0]) for error in told if "given up" in str(error)) == 10
    assert any("400 document_parsing_exception" in str(error) for error in told)


# ---- the format that an envelope needs


@pytest.mark.parametrize(
    ("envelope", "settings", "message"),
    [
        ("otlp", {"format": "json"}, 'envelope="otlp" needs format="otlp"'),
        ("otlp", {}, 'envelope="otlp" needs format="otlp"'),
        ("loki", {"format": "json"}, 'needs format="json" and json_time="epoch_ns"'),
        ("loki", {"format": "ecs"}, 'needs format="json" and json_time="epoch_ns"'),
        ("loki", {"json": True, "json_time": "epoch_ns", "json_keys": {"level": "severity"}}, 'needs format="json"'),
        ("elasticsearch", {"format": "logfmt"}, "needs lines of JSON"),
        ("elasticsearch", {"format": "otlp"}, 'use format="ecs"'),
        ("elasticsearch", {}, "needs lines of JSON"),
        ("ndjson", {"format": "{level} {message}"}, "needs lines of JSON"),
        ("ndjson", {"json": False}, "needs lines of JSON"),
    ],
)
def test_a_sink_with_another_format_is_refused_when_it_is_added(
    envelope: Any, settings: dict[str, Any], message: str
) -> None:
    with make_logger() as logger, pytest.raises(ConfigError) as told:
        logger.add_sink(SinkConfig(batch=HttpSink("http://127.0.0.1:1/x/_bulk", envelope=envelope), **settings))
    assert message in str(told.value)
    assert told.value.field == "format"


@pytest.mark.parametrize("settings", [{"format": "json"}, {"json": True}, {"format": '{{"text":"{message:json}"}}'}])
def test_lines_of_json_are_what_ndjson_takes(settings: dict[str, Any]) -> None:
    SinkConfig(batch=HttpSink("http://127.0.0.1:1"), **settings).validate()
