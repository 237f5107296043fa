"""Messages that somebody else wrote, in every way that makes a record: never templates of more than given fields."""

import asyncio
import datetime
import decimal
import fractions
import re
import sys
import threading

import pytest

from logly import Advice, Logger, LoggerConfig, SinkConfig
from tests.support.hooks import registry_counts
from tests.support.lines import Lines
from tests.support.message_model import is_too_wide
from tests.support.programs import run_program
from tests.support.spooling import dies

HOSTILE = [
    "/{token}",
    "/{status}/{token}",
    "/{status.real}",
    "/{status.__class__.__init__.__globals__}",
    "/{status[0]}",
    "/{request.META[HTTP_COOKIE]}",
    "/{s:>20000000}",
    "/{}",
    "/{0}",
    "/{:>20000000}",
    "/{status:{token}}",
    "/{status:{status:{status}}}",
    "/{status!x}",
    "/{status",
    "/status}",
    "/{{status}}",
    "/{{}}",
    "/}{",
    '/{"status": 404}',
    "/{status:>9}{",
    "/{message}{self}{exc_info}{fields}",
]


@pytest.fixture
def lines():
    told = []
    lines = Lines(LoggerConfig(level=0, on_error=told.append), format="{message}")
    yield lines
    assert lines.logger.stats().failed_formats == 0
    lines.close()
    # Some calls are mistakes (`exception` without an exception), which is told; no message fails.
    assert [error for error in told if type(error) is not Advice] == []


class Request:
    def __init__(self):
        self.META = {"HTTP_COOKIE": "secret"}


@pytest.mark.parametrize("path", HOSTILE)
def test_a_message_with_fields_alone_stays_as_it_is(lines, path):
    logger = lines.logger
    calls = [
        lambda: logger.warning(f"Not Found: {path}", status=404),
        lambda: logger.warning(path, status=404),
        lambda: logger.log("info", path, status=404),
        lambda: logger.bind(token="secret", s="secret").info(path, status=404),
        lambda: logger.exception(path, status=404),
        lambda: logger.info(path, status=404, exc_info=ValueError("{status}")),
        lambda: logger.info(path, status=404, stacklevel=2),
        lambda: logger.info(path, status=404, request=Request()),
        lambda: logger.info(message=path, status=404),
        lambda: logger.info(ValueError(path), status=404),
        lambda: logger.info(type("Text", (str,), {})(path), status=404),
        lambda: logger.info(path, status=404, **{f"f{i}": i for i in range(100)}),
    ]
    with logger.contextualize(token="secret", s="secret"):
        for call in calls:
            for _ in range(3):
                call()
    found = [line for line in lines.lines() if line not in ("ValueError: {status}", "NoneType: None")]
    assert found == 3 * [f"Not Found: {path}"] + 3 * (len(calls) - 1) * [path]


def test_the_same_text_object_with_and_without_positional_arguments(lines):
    text = "{{}} {x}"
    for _ in range(3):
        lines.logger.info(text)
        lines.logger.info(text, y=1)
        lines.logger.info(text, x=1)
        lines.logger.info(text, None, x=2)
    assert lines.lines() == 3 * ["{{}} {x}", "{{}} {x}", "{} 1", "{} 2"]
    escaped = "{{}}"
    for _ in range(3):
        lines.logger.info(escaped, 1)
        lines.logger.info(escaped, x=1)
    assert lines.lines() == 3 * ["{}", "{{}}"]


def test_what_is_filled_is_no_template_again(lines):
    for _ in range(3):
        lines.logger.info("{x}", x="{y} {{}} {x}", y="secret")
        lines.logger.info("{} {}", "{0}", "{1}")
    assert lines.lines() == 3 * ["{y} {{}} {x}", "{0} {1}"]


def test_catch_fills_its_own_placeholder_and_no_other(lines):
    def work():
        raise ValueError("{function} {0}")

    work.__name__ = "{function}{x}"
    lines.logger.bind(x="secret").catch(ValueError, message="{function} {x} {{}} {0.real}")(work)()
    assert lines.lines()[0] == "{function}{x} {x} {{}} {0.real}"


def test_every_kind_of_sink_has_the_same_text(tmp_path):
    records = []
    logger = Logger(LoggerConfig(auto_sink=False))
    lines = Lines(json=True)
    lines.logger.add_sink(SinkConfig(function=records.append))
    lines.logger.add_sink(SinkConfig(path=tmp_path / "filtered", format="{message}", filter=lambda record: True))
    for _ in range(2):
        lines.logger.info("/{token} {{}}", status=1)
        lines.logger.info("{status:03} {{}}", status=1)
    wanted = 2 * ["/{token} {{}}", "001 {}"]
    assert [found["message"] for found in lines.objects()] == wanted
    assert [record.message for record in records] == wanted
    lines.close()
    logger.close()
    assert (tmp_path / "filtered").read_text().splitlines() == wanted


@pytest.mark.skipif(sys.platform == "win32", reason="no spools on Windows")
def test_a_dead_process_is_read_by_the_same_rules(tmp_path):
    program = """
for _ in range(3):
    logger.info("/{token} {{}}", status=1)
    logger.info("{{}}", 1)
    logger.info("{{}}", status=1)
    logger.info("{status:03} {{}}", status=1)
    logger.info("plain", status=1)
"""
    dies(tmp_path, program)
    logger = Logger(LoggerConfig(auto_sink=False, spool=tmp_path / "app.spool"))
    logger.add_sink(SinkConfig(path=tmp_path / "new.log", format="{message}"))
    logger.close()
    found = "".join(path.read_text() for path in sorted(tmp_path.glob("*.log")))
    assert found.splitlines() == 3 * ["/{token} {{}}", "{}", "{{}}", "001 {}", "plain"]


def test_threads_and_tasks(lines):
    def work():
        for _ in range(50):
            lines.logger.info("/{token}", status=1)
            lines.logger.info("{status} {{}}", status=1)

    async def task():
        work()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    asyncio.run(task())
    for thread in threads:
        thread.join(30)
    found = lines.lines()
    assert (found.count("/{token}"), found.count("1 {}"), len(found)) == (250, 250, 500)


def test_texts_from_outside_get_no_place_in_the_table_of_templates(lines):
    for i in range(3):
        lines.logger.info(f"/{{status}} {i}", status=i)
    before, _ = registry_counts()
    for i in range(100):
        lines.logger.info(f"/{{token}} {i}", status=1)
        lines.logger.info(f"/{{status}} {{token}} {i}", status=1)
        lines.logger.info(f"/{{{{ {i}", status=1)
        lines.logger.info(f"/{{{i}", status=1)
    assert registry_counts()[0] == before
    assert len(lines.lines()) == 403


def test_a_long_value_named_often_is_cut_before_it_is_made():
    # 50,000 times 8 MB would be 400 GB.
    with_limit = Lines(LoggerConfig(level=0, max_message_bytes=20_000_000), format="{message}")
    with_limit.logger.info("{x}" * 50_000, x="é" * 4_000_000)
    line = with_limit.line()
    with_limit.close()
    assert re.fullmatch("é{9900000,10000000} \\[logly: cut, [^]]*\\]", line)


# ---- widths


class Delegating:
    """Its language is that of a value that it has."""

    def __init__(self, value):
        self.value = value

    def __format__(self, spec):
        return format(self.value, spec)


VALUES = [
    5,
    2**70,
    1.5,
    "text",
    True,
    None,
    b"x",
    1 + 2j,
    decimal.Decimal("1.5"),
    fractions.Fraction(3, 2),
    Delegating(7),
]
TOO_WIDE = [
    *(
        "20000000",
        ">20000000",
        "*>10001",
        "}^20000000",
        "<020000000",
        "=+#020000000",
        "10001,",
        "10001.2f",
        "020000000d",
    ),
    *(
        ".1000000000f",
        ".10001",
        "5.10001e",
        "z.1000000000%",
        " .20000g",
        "٢٠٠٠٠",
        ">٢٠٠٠٠",
        "9" * 400,
        "10001s",
        "20000n",
    ),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("spec", TOO_WIDE, ids=lambda spec: spec[:20])
def test_a_width_or_precision_above_the_limit_is_never_made(value, spec):
    told = []
    config = LoggerConfig(level=0, on_error=told.append)
    fields = {"value": value, "spec": spec}
    shown = " ".join(f"{name}={what!r}" for name, what in fields.items())
    calls = [
        ("{:" + spec + "}", (value,), {}),
        ("{0!r:" + spec + "}", (value,), {}),
        ("{:{}}", (value, spec), {}),
        ("{0:{1}}", (value, spec), {}),
        ("{0:{spec}}", (value,), {"spec": spec}),
        ("{0:{1.value!s}}", (value, Delegating(spec)), {}),
        ("{0:{1[0]}}", (value, [spec]), {}),
        ("{0:{1:" + spec + "}}", (value, 1), {}),
        ("{value:" + spec + "}", (), fields),
        ("{value:{spec}}", (), fields),
        ("{value!s:{spec}}", (), fields),
    ]
    if "}" in spec:
        calls = [
            call for call in calls if "{:{" in call[0] or ":{spec}" in call[0] or ":{1." in call[0] or ":{1[" in call[0]
        ]
    lines = Lines(config, format="{message}")
    for template, args, named in calls:
        for _ in range(2):
            lines.logger.info(template, *args, **named)
    found = lines.lines()
    wanted = []
    for template, args, named in calls:
        shown = [*map(repr, args), *(f"{name}={what!r}" for name, what in named.items())]
        wanted += 2 * [" ".join([template, *shown])]
    assert found == wanted
    assert lines.logger.stats().failed_formats == len(wanted)
    lines.close()
    assert len(told) == len(wanted)
    assert all(isinstance(error, ValueError) for error in told)


def test_the_limit_itself_and_what_only_looks_like_a_width(lines):
    class Own:
        def __format__(self, spec):
            return f"<{spec}>"

    when = datetime.datetime(2026, 3, 1, 13, 5, 9)
    calls = [
        ("{:10000}|{:.10000}|{:010000d}", ("a", "b" * 20_000, 1)),
        ("{:.10000f}", (1.5,)),
        ("{:{}}", (1, 10_000)),
        ("{:{}.{}f}", (decimal.Decimal("1.5"), 10_000, 10_000)),
        ("{:%Y99999-%m-%d}", (when,)),
        ("{:%Y-%m-%d %H:%M:%S.%f}", (when,)),
        ("{:20000 %Y}", (when,)),
        ("{:{}}", (when, "%Y99999")),
        ("{:{!s}}|{:>{!r}}|{:{!a}}", ("a", ">20", "b", 10, "c", 5)),
        ("{:{:02d}}", (7, 5)),
        ("{:v20000}", (Own(),)),
        ("{:id=123456}", (Own(),)),
        ("{} 20000000 {{0:>20000000}} {:}", (1, 2)),
        ("{0[20000]}", ({20_000: "item"},)),
        ("{a20000:>5}", ()),
    ]
    for template, args in calls:
        for _ in range(2):
            lines.logger.info(template, *args, **({} if args else {"a20000": 1}))
    wanted = [template.format(*args, a20000=1) for template, args in calls for _ in range(2)]
    assert lines.lines() == wanted


class Price:
    def __init__(self, number):
        self.number = number


@pytest.mark.parametrize("text", ["1E+999999999", "-1E+999999999", "1E-999999999", "0E-999999999", "1E+10001"])
@pytest.mark.parametrize("spec", ["f", ",f", ".2f", "F", "%", ">9_.1%"])
def test_a_number_from_outside_is_not_written_as_a_gigabyte_of_zeros(spec, text):
    """Twelve characters in a request, where an application reads numbers as Decimals."""
    number = decimal.Decimal(text)
    told = []
    lines = Lines(LoggerConfig(level=0, on_error=told.append), format="{message}")
    calls = [
        ("{:" + spec + "}", (number,), {}),
        ("{} {:" + spec + "}", ("x", number), {}),
        ("{:{}}", (number, spec), {}),
        ("{0.number:" + spec + "}", (Price(number),), {}),
        ("{0[0]:" + spec + "} {1:{2}}", ([number], 1, 5), {}),
        ("{x:" + spec + "}", (), {"x": number}),
        ("{x:{spec}}", (), {"x": number, "spec": spec}),
        ("{x:" + spec + "} " * 100, (), {"x": number}),
    ]
    for template, args, fields in calls:
        lines.logger.info(template, *args, **fields)
    found = lines.lines()
    lines.close()
    assert [line[: len(template)] for line, (template, _, _) in zip(found, calls, strict=True)] == [
        template for template, _, _ in calls
    ]
    assert lines.logger.stats().failed_formats >= 7
    assert told
    assert all("a Decimal of more than 10,000 digits" in str(error) for error in told), told


def test_other_decimals_and_formats_are_pythons_own(lines):
    numbers = [decimal.Decimal(text) for text in ("1E+10000", "1E-10000", "1.5", "0", "-NaN", "Infinity", "123456.789")]
    specs = ["f", ".2f", ",.1f", "%", "", "e", "g", ">20f"]
    far = [decimal.Decimal("1E+999999999"), decimal.Decimal("1E-999999999")]
    calls = [("{} {:" + spec + "}", ("x", number)) for number in numbers for spec in specs]
    calls += [("{} {:" + spec + "}", ("x", number)) for number in far for spec in ("", "e", "g", ".5g", ",", ">20")]
    calls += [("{!r:>20} {:.1f} {:f} {:%}", (number, 1.5, 7, 0.25)) for number in far]
    for template, args in calls:
        lines.logger.info(template, *args)
    assert lines.lines() == [template.format(*args) for template, args in calls]
    assert lines.logger.stats().failed_formats == 0


def test_the_model_of_widths_is_what_pythons_kinds_of_value_do():
    # The oracle itself: where it says "not too wide", no kind of value makes more than the limit of it.
    for spec in TOO_WIDE:
        assert is_too_wide(spec)
    for spec in ("10000", ".10000f", "%Y99999", "x20000", "", "20000 %Y", "é>10000"):
        assert not is_too_wide(spec)
        for value in VALUES:
            try:
                text = format(value, spec)
            except (ValueError, TypeError):
                continue
            assert len(text) <= 20_010  # a complex number is two


@pytest.mark.skipif(sys.platform != "linux", reason="limits its own memory")
def test_no_template_takes_memory_for_a_width():
    program = """
import resource
from logly import Logger, LoggerConfig, SinkConfig
logger = Logger(LoggerConfig(auto_sink=False, on_error=lambda error: None))
logger.add_sink(SinkConfig(path="/dev/null"))
logger.info("{:>9}", 1); logger.flush()
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + (256 << 20), size + (256 << 20)))
for spec in (".1000000000f", "1000000000", "*^2000000000"):
    for value in (1, 1.5, "text"):
        logger.info("{:" + spec + "}", value)
        logger.info("{:{}}", value, spec)
        logger.info("{value:" + spec + "}", value=value)
        logger.info("{value:{spec}}", value=value, spec=spec)
logger.close()
stats = logger.stats()
assert stats.failed_formats == 36, stats
assert stats.written == stats.emitted == 37, stats
"""
    run_program(program, timeout=120)
