"""The recipes of docs/fleet.md: their files run as they stand there."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from logly import BatchRefused, RetryBatch, SinkConfig
from tests.support import ROOT
from tests.support.http_servers import HttpServer, Request, as_json, problem
from tests.support.loggers import assert_books, make_logger
from tests.support.pages import write_files
from tests.support.waiting import wait_until

PAGE = ROOT / "docs" / "fleet.md"
pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="the pages are not here")


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Imports a file of the page."""
    files = write_files(PAGE, tmp_path)

    def load(name: str) -> Any:
        assert f"{name}.py" in files
        spec = importlib.util.spec_from_file_location(name, tmp_path / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    return load


def test_kafka(recipe: Callable[[str], Any]) -> None:
    kafka = pytest.importorskip("confluent_kafka")
    batch = recipe("kafka_batch").KafkaBatch({"test.mock.num.brokers": 2}, "logs", timeout_s=10)
    brokers = ",".join(map(str, batch.producer.list_topics(timeout=10).brokers.values())).split(",")
    addresses = ",".join(broker.split("/")[0] for broker in brokers)
    with make_logger(on_error=lambda _: None, stall_timeout=60) as logger:
        logger.add_sink(SinkConfig(batch=batch, format="json", flush_interval=5))
        for number in range(500):
            logger.info("{}", number)
        assert logger.flush(60)
        assert_books(logger, 500)
        consumer = kafka.Consumer({"bootstrap.servers": addresses, "group.id": "test", "auto.offset.reset": "earliest"})
        consumer.subscribe(["logs"])
        found = []
        while len(found) < 500:
            message = consumer.poll(10)
            assert message is not None, f"{len(found)} messages"
            assert message.error() is None
            found.append(json.loads(message.value())["message"])
        consumer.close()
    assert sorted(found, key=int) == [str(number) for number in range(500)]


def test_kafka_gives_up_messages_that_are_too_large_and_keeps_the_others(recipe: Callable[[str], Any]) -> None:
    pytest.importorskip("confluent_kafka")
    batch = recipe("kafka_batch").KafkaBatch(
        {"test.mock.num.brokers": 1, "message.max.bytes": 2000}, "logs", timeout_s=10
    )
    with pytest.raises(BatchRefused) as told:
        batch(b"one\n" + b"x" * 5000 + b"\nthree\n", 3)
    assert told.value.refused == (1,)


def test_kafka_without_brokers_keeps_the_batch(recipe: Callable[[str], Any]) -> None:
    pytest.importorskip("confluent_kafka")
    batch = recipe("kafka_batch").KafkaBatch({"bootstrap.servers": "127.0.0.1:1", "log_level": 0}, "logs", 0.3)
    with pytest.raises(RetryBatch) as told:
        batch(b"one\ntwo\n", 2)
    assert told.value.again == (0, 1)


def test_datadog(recipe: Callable[[str], Any]) -> None:
    pytest.importorskip("urllib3")

    def intake(request: Request) -> Any:
        if request.headers.get("dd-api-key") != "key" or request.path != "/api/v2/logs":
            return problem(403, "Forbidden")
        entries = json.loads(request.body)
        if len(entries) > 1000:
            return problem(413, "Payload too large")
        taken.extend(entries)
        return as_json(202, {})

    taken: list[dict[str, Any]] = []
    with HttpServer(intake) as server, make_logger() as logger:
        sink = recipe("datadog_batch").datadog("key", server.url)
        logger.add_sink(SinkConfig(batch=sink, format="datadog", flush_interval=3_600_000))
        for number in range(2500):
            logger.info("{}", number)
        assert logger.flush(60)
        assert_books(logger, 2500)
    assert [entry["message"] for entry in taken] == [str(number) for number in range(2500)]


def test_splunk(recipe: Callable[[str], Any]) -> None:
    pytest.importorskip("urllib3")

    def collector(request: Request) -> Any:
        if request.headers.get("authorization") != "Splunk token":
            return as_json(403, {"text": "Invalid token", "code": 4})
        text, decoder = request.body.decode(), json.JSONDecoder()
        while text:
            event, end = decoder.raw_decode(text)
            events.append(event)
            text = text[end:]
        return as_json(200, {"text": "Success", "code": 0})

    events: list[dict[str, Any]] = []
    with HttpServer(collector) as server, make_logger() as logger:
        sink = recipe("splunk_batch").splunk(server.url, "token")
        logger.add_sink(SinkConfig(batch=sink, format="json", json_time="epoch_s"))
        for number in range(100):
            logger.info("{}", number)
        assert logger.flush(60)
    assert [event["event"]["message"] for event in events] == [str(number) for number in range(100)]
    assert all(event["time"] == event["event"]["timestamp"] for event in events)


def test_cloudwatch(recipe: Callable[[str], Any]) -> None:
    session = pytest.importorskip("botocore.session")
    stubs = pytest.importorskip("botocore.stub")
    client = session.Session().create_client(
        "logs", region_name="eu-central-1", aws_access_key_id="key", aws_secret_access_key="secret"
    )
    names = {"logGroupName": "shop", "logStreamName": "web-1"}
    batch = recipe("cloudwatch_batch").CloudWatchBatch(client, "shop", "web-1")
    one, two = '{"timestamp":1772370309001,"message":"b"}', '{"timestamp":1772370309000,"message":"a"}'
    lines = f"{one}\n{two}\n".encode()
    in_order = [
        {"timestamp": 1772370309000, "message": two},
        {"timestamp": 1772370309001, "message": one},
    ]
    with stubs.Stubber(client) as stub:
        stub.add_response("put_log_events", {}, {**names, "logEvents": in_order})
        batch(lines, 2)
        info = {"rejectedLogEventsInfo": {"tooOldLogEventEndIndex": 1}}
        stub.add_response("put_log_events", info, {**names, "logEvents": in_order})
        with pytest.raises(BatchRefused) as told:
            batch(lines, 2)
        assert told.value.refused == (1,)
        stub.add_client_error("put_log_events", "ThrottlingException")
        with pytest.raises(Exception, match="ThrottlingException") as throttled:
            batch(lines, 2)
        assert not isinstance(throttled.value, BatchRefused)
        stub.add_client_error("put_log_events", "InvalidParameterException")
        with pytest.raises(BatchRefused):
            batch(lines, 2)
        stub.assert_no_pending_responses()


def test_metrics(recipe: Callable[[str], Any]) -> None:
    prometheus = pytest.importorskip("prometheus_client")
    registry = prometheus.CollectorRegistry()
    with make_logger(on_error=lambda _: None) as logger:
        registry.register(recipe("logly_metrics").LoglyCollector(logger))

        def refuses(_lines: bytes, _count: int) -> None:
            raise BatchRefused("no")

        sink = str(logger.add_sink(SinkConfig(batch=refuses, level="error", flush_interval=5)))
        for number in range(10):
            logger.info("{}", number)
            logger.limit("1/h", key="one").warning("limited")
        logger.error("failed")
        assert logger.flush(60)

        def value(name: str, **labels: str) -> float | None:
            found: float | None = registry.get_sample_value(name, labels)
            return found

        assert value("logly_records_by_level_total", level="INFO") == 10
        assert value("logly_records_by_level_total", level="WARNING") == 1
        assert value("logly_records_by_level_total", level="ERROR") == 1
        assert value("logly_records_total", fate="written") == 11
        assert value("logly_records_total", fate="failed") == 1
        assert value("logly_records_total", fate="dropped") == 0
        assert value("logly_suppressed_total") == 9
        assert value("logly_pending") == 0
        assert value("logly_sink_failed_total", sink=sink) == 1
        assert value("logly_sink_backlog", sink=sink) == 0
        assert (value("logly_ring_high_water_bytes") or 0) > 0
        wait_until(lambda: b"logly_ring_bytes" in prometheus.generate_latest(registry))
