"""The shippers' configurations in docs/shippers.md: they parse, what they refer to exists, their times fit ours."""

import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from logly import Logger, SinkConfig
from tests.support import ROOT, rsyslog
from tests.support.lines import parse
from tests.support.log_files import lines_of
from tests.support.pages import blocks

PAGE = ROOT / "docs" / "shippers.md"
PATTERN = "/srv/app/logs/app*.json"

pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="the page is not here")


def text_of(language: str) -> str:
    (text,) = [block.text for block in blocks(PAGE) if block.language == language]
    return text


def configuration(product: str) -> Any:
    """The YAML block whose first comment names the product."""
    yaml = pytest.importorskip("yaml")
    (text,) = [block.text for block in blocks(PAGE) if block.text.startswith(f"# {product}")]
    return yaml.safe_load(text)


def a_timestamp(folder: Path) -> str:
    with Logger() as logger:
        logger.add_sink(SinkConfig(path=folder / "app.json", json=True))
        logger.info("now")
    (line,) = lines_of(folder / "app.json")
    return str(parse(line)["timestamp"])


def test_every_yaml_block_is_one_that_is_looked_at() -> None:
    products = {"promtail", "vector", "fluent bit", "OpenTelemetry collector", "filebeat", "datadog"}
    first_lines = [block.text.partition("\n")[0] for block in blocks(PAGE) if block.language == "yaml"]
    assert {re.split(r"[:\n]", line.removeprefix("# "))[0] for line in first_lines} == products


def test_alloy_is_balanced_and_refers_to_what_it_defines() -> None:
    text = text_of("alloy")
    bare = re.sub(r'"[^"\n]*"', '""', text)
    assert '"' not in bare.replace('""', "")
    depth: list[str] = []
    for sign in re.findall(r"[][{}()]", bare):
        if sign in "[{(":
            depth.append("]})"["[{(".index(sign)])
        else:
            assert depth.pop() == sign
    assert depth == []
    defined = {".".join(found) for found in re.findall(r'^([\w.]+) "(\w+)" \{', text, flags=re.MULTILINE)}
    used = set(re.findall(r"\b([\w.]+)\.(?:receiver|targets)\b", bare))
    assert used == defined - {"loki.source.file.app"}  # where the lines begin, nobody refers to
    assert f'"{PATTERN}"' in text


def test_promtail() -> None:
    (job,) = configuration("promtail")["scrape_configs"]
    assert job["static_configs"][0]["labels"]["__path__"] == PATTERN
    assert [next(iter(stage)) for stage in job["pipeline_stages"]] == ["json", "timestamp", "labels", "labeldrop"]


def test_vector() -> None:
    found = configuration("vector")
    components = {**found["sources"], **found["transforms"], **found["sinks"]}
    assert [part["inputs"] for part in components.values() if "inputs" in part] == [["app"], ["parsed"]]
    assert set(components) >= {"app", "parsed"}
    assert found["sources"]["app"]["include"] == [PATTERN]


def test_fluent_bit(tmp_path: Path) -> None:
    found = configuration("fluent bit")
    (parser,), (tail,), (loki,) = found["parsers"], found["pipeline"]["inputs"], found["pipeline"]["outputs"]
    assert (tail["parser"], tail["path"], loki["match"]) == (parser["name"], PATTERN, tail["tag"])
    # Its %L is what Python calls %f.
    moment = datetime.strptime(a_timestamp(tmp_path), parser["time_format"].replace("%L", "%f"))
    assert abs((datetime.now(UTC) - moment).total_seconds()) < 3600


def test_the_opentelemetry_collector() -> None:
    found = configuration("OpenTelemetry collector")
    pipeline = found["service"]["pipelines"]["logs"]
    assert set(pipeline["receivers"]) == set(found["receivers"])
    assert set(pipeline["exporters"]) == set(found["exporters"])
    assert found["receivers"]["filelog"]["include"] == [PATTERN]
    severity = found["receivers"]["filelog"]["operators"][0]["severity"]
    # The names that the collector's default preset does not have.
    assert set(severity["mapping"].values()) == {"success", "fail", "critical"}


def test_filebeat_and_datadog() -> None:
    (source,) = configuration("filebeat")["filebeat.inputs"]
    assert source["paths"] == [PATTERN]
    (log,) = configuration("datadog")["logs"]
    assert log["path"] == PATTERN


def test_rsyslog_takes_its_configuration(tmp_path: Path, rsyslogd: rsyslog.Rsyslog) -> None:
    text = text_of("rsyslog")
    assert PATTERN in text
    (tmp_path / "rsyslog.conf").write_text(text.replace("/var/spool/rsyslog", str(tmp_path)))
    check = [*rsyslogd.command(tmp_path / "rsyslog.conf", tmp_path / "pid"), "-N1"]
    done = subprocess.run(check, env=rsyslogd.environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "error" not in done.stderr.lower()
