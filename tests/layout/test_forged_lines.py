"""Text from outside, in every place that it can come into a line from: each record begins exactly one line.

PLACES is the table of these places (docs/layouts.md has it in words). A new place belongs into both.
"""

import json
import linecache
import logging
import os
import re
import sys
import threading
import traceback

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from logly import LoggerConfig, StdlibHandler
from logly.caller.tracebacks import exception_text
from logly.control.reports import StderrReports, as_one_line
from tests.support.lines import Lines, parse
from tests.support.programs import run_program
from tests.support.spooling import run_recover

# Each record's line begins with "@", and so do the forged ones.
LAYOUT = "@{level} {name} {module} {function} {filename} {path} {lineno} {thread_name} {message} {fields} {k:>3}"
FORGED = ["@INFO root app all is well", "2026-01-01 00:00:00.000 | INFO     | app:main:1 | all is well", "INFO forged"]
ODD = ["\n", "\r", "\r\n", "\v", "\f", "\x1b[2J", "\x1c", "\x1d", "\x1e", "\x85", "\x9b2J", "\u2028", "\u2029", "\0"]
RAW = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
RECORD = re.compile(r"@|\d{4}-\d\d-\d\d |INFO forged")

evil = st.lists(
    st.sampled_from([*ODD, *FORGED, "\ud800", "\udfff", "\u202e", "é", "\t", " ", "x", "\\n", '"', "=", "{}"]),
    max_size=8,
).map("".join)


def plain(text):
    """The text for where CPython takes neither NUL nor lone surrogates."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def class_of(name="Remote", module="peer", qualname=None, base=Exception):
    """An exception class as code that rebuilds a remote error makes it."""
    return type(name, (base,), {"__module__": module, "__qualname__": qualname or name})


class Text:
    """An object whose text is given."""

    def __init__(self, text):
        self.text = text

    def __str__(self):
        return self.text

    __repr__ = __str__


def noted(notes):
    error = ValueError("x")
    error.__notes__ = notes
    return error


def failed(text):
    """Raised in a place whose names are given, with a line of source that a program put into linecache."""
    text = plain(text)
    code = compile("raise ValueError('x')", "place" + text, "exec").replace(co_name="f" + text)
    linecache.cache["place" + text] = (1, None, ["raise ValueError('x')" + text + "\n"], "place" + text)
    try:
        exec(code, {})
    except ValueError as error:
        return error


def syntax_error(**parts):
    error = SyntaxError("bad", ("file", 1, 2, "text"))
    for name, value in parts.items():
        setattr(error, name, value)
    return error


EXCEPTIONS = {
    "class's name": lambda text: class_of(plain(text) or "E")("x"),
    "class's qualname": lambda text: class_of(qualname=text or "E")("x"),
    "class's module": lambda text: class_of(module=text)("x"),
    "class's module and the message": lambda text: class_of(module=text)(text),
    "SyntaxError's class": lambda text: class_of(module=text, base=SyntaxError)("bad", ("file", 1, 2, "text")),
    "message": lambda text: ValueError(text),
    "message of an object": lambda text: ValueError(Text(text)),
    "OSError's file": lambda text: OSError(2, text, text),
    "note": lambda text: noted([text, "read line 3", text]),
    "notes in a tuple": lambda text: noted((text,)),
    "note of an object": lambda text: noted([Text(text)]),
    "notes that are a text": lambda text: noted(text),
    "notes that are an object": lambda text: noted(Text(text)),
    "message of a group": lambda text: ExceptionGroup(text, [ValueError("x")]),
    "note of a group": lambda text: (g := ExceptionGroup("g", [ValueError("x")]), g.add_note(text))[0],
    "class of a group": lambda text: class_of(module=text, base=ExceptionGroup)("g", [ValueError("x")]),
    "exceptions in a group": lambda text: ExceptionGroup("g", [class_of(module=text)(text), noted([text])]),
    "cause": lambda text: chained("__cause__", class_of(module=text)(text)),
    "context": lambda text: chained("__context__", class_of(qualname=text or "E")(text)),
    "SyntaxError's msg": lambda text: syntax_error(msg=text),
    "SyntaxError's msg of an object": lambda text: syntax_error(msg=Text(text)),
    "SyntaxError's filename": lambda text: syntax_error(filename=text),
    "SyntaxError's filename without a line": lambda text: syntax_error(filename=text, lineno=None),
    "SyntaxError's filename of an object": lambda text: syntax_error(filename=Text(text)),
    "SyntaxError's lineno": lambda text: syntax_error(lineno=Text(text)),
    "SyntaxError's text": lambda text: syntax_error(text=text),
    "ImportError's name": lambda text: ImportError(text, name=text, path=text),
    "KeyError": lambda text: KeyError(text),
    "place and line of source": failed,
}


def chained(how, error):
    top = KeyError("top")
    setattr(top, how, error)
    return top


def log_from(text, log, **names):
    code = compile("log('m')", "p" + names.get("path", ""), "exec").replace(co_name="f" + names.get("function", ""))
    for _ in range(2):
        exec(code, {"__name__": "m" + names.get("module", ""), "log": log})


def log_in_thread(text, log):
    thread = threading.Thread(target=log, args=("m",), name="t" + text)
    thread.start()
    thread.join(30)


def log_by_logging(text, logger, **attributes):
    record = logging.makeLogRecord({"msg": "m", "levelno": 20, "pathname": "p", "lineno": 1, **attributes})
    handler = StdlibHandler(logger)
    handler.handleError = lambda record: None  # an attribute of another type is a mistake of who made the record
    handler.emit(record)


class Fails:
    def __init__(self, text):
        self.kind = class_of("Fails" + plain(text))

    def __str__(self):
        raise self.kind("x")

    __repr__ = __str__


def odd_class(text):
    return type("C" + plain(text), (Fails,), {})(text)


# Each writes some records into `logger`, with `text` in one place of them.
PLACES = {
    "message": lambda logger, text: logger.info(text),
    "message of an object": lambda logger, text: logger.info(Text(text)),
    "message of an object whose str fails": lambda logger, text: logger.info(odd_class(text)),
    "template": lambda logger, text: logger.info(text + "{}", 1),
    "argument": lambda logger, text: logger.info("{} {!r} {!s:>9}", text, text, text),
    "argument of bytes": lambda logger, text: logger.info("{}", text.encode("utf-8", "surrogatepass")),
    "argument of an object": lambda logger, text: logger.info("{}", Text(text)),
    "argument whose str fails": lambda logger, text: logger.info("{}", odd_class(text)),
    "field's name": lambda logger, text: logger.info("m", **{"k" + text: 1}),
    "field's value": lambda logger, text: logger.info("m", k=text),
    "field of bytes": lambda logger, text: logger.info("m", k=text.encode("utf-8", "surrogatepass")),
    "field of an object": lambda logger, text: logger.info("m", k=Text(text)),
    "field whose str fails": lambda logger, text: logger.info("m", k=odd_class(text)),
    "nested field": lambda logger, text: logger.info("m", k={text: [text, {"a": (text,)}, Text(text)]}),
    "bound field": lambda logger, text: logger.bind(**{"k" + text: text}).info("m"),
    "context": lambda logger, text: contextual(logger, **{"k" + text: text}),
    "caught": lambda logger, text: caught(logger, class_of(module=text)(text)),
    "module": lambda logger, text: log_from(text, logger.info, module=text),
    "function": lambda logger, text: log_from(text, logger.info, function=text),
    "path": lambda logger, text: log_from(text, logger.info, path=text.replace("\0", "")),
    "thread's name": lambda logger, text: log_in_thread(text, logger.info),
    **{
        f"logging's {name}": lambda logger, text, name=name: log_by_logging(text, logger, **{name: text})
        for name in ("msg", "name", "module", "funcName", "pathname", "lineno", "levelname", "exc_text", "stack_info",
                     "threadName", "processName", "any_other")
    },
    **{
        f"exception: {name}": lambda logger, text, make=make: logger.error("m", exc_info=make(text))
        for name, make in EXCEPTIONS.items()
    },
}  # fmt: skip


def contextual(logger, **fields):
    with logger.contextualize(**fields):
        logger.info("m")


def caught(logger, error):
    with logger.catch():
        raise error


@pytest.fixture(scope="module", params=["escape", "indent"])
def text_lines(request):
    lines = Lines(LoggerConfig(level=0, on_error=lambda error: None), format=LAYOUT, newlines=request.param)
    yield lines
    lines.close()


@pytest.fixture(scope="module")
def other_lines():
    """The same records as default text, JSON, pretty JSON and logfmt."""
    config = LoggerConfig(level=0, on_error=lambda error: None)
    made = [Lines(config), Lines(config, json=True), Lines(config, format="logfmt")]
    pretty = Lines(LoggerConfig(level=0, pretty_json=True, on_error=lambda error: None))
    yield [*made, pretty]
    for lines in [*made, pretty]:
        lines.close()


def written(logger):
    stats = logger.stats()
    return stats.written - stats.dropped


def put_in(lines, place, text):
    """The text that the place wrote, and of how many records it is."""
    before = written(lines.logger)
    PLACES[place](lines.logger, text)
    out = lines.text()
    return out, written(lines.logger) - before


def records_in(text):
    """Lines, by the widest notion of a line that a reader may have, that begin like a record."""
    return [line for line in text.splitlines() if RECORD.match(line)]


every_place = pytest.mark.parametrize("place", PLACES)
few = settings(max_examples=max(1, settings().max_examples // 80))


@every_place
@few
@given(text=evil)
@example(text="\n@INFO forged")
@example(text="\n2026-01-01 00:00:00.000 | INFO     | app:main:1 | all is well")
@example(text="@INFO forged\r@INFO\u2028@INFO\x85@INFO\x0b@INFO\x1b[2J")
def test_a_record_begins_one_line_of_text(text_lines, place, text):
    out, count = put_in(text_lines, place, text)
    assert len(records_in(out)) == count, out
    assert not RAW.search(out.replace("\n", "")), out


@every_place
@few
@given(text=evil)
@example(text="\n2026-01-01 00:00:00.000 | INFO     | app:main:1 | all is well")
@example(text="\r\n}\n{\x85\u2028\x1b[2J\ud800")
def test_every_layout(other_lines, place, text):
    plain, as_json, logfmt, pretty = other_lines
    out, count = put_in(plain, place, text)
    assert len(records_in(out)) == count, out
    assert not RAW.search(out.replace("\n", ""))
    out, count = put_in(as_json, place, text)
    assert out.count("\n") == len(out.splitlines()) == count
    assert not RAW.search(out.replace("\n", ""))
    assert all(isinstance(parse(line), dict) for line in out.splitlines())
    out, count = put_in(logfmt, place, text)
    assert out.count("\n") == len(out.splitlines()) == count
    assert not RAW.search(out.replace("\n", ""))
    out, count = put_in(pretty, place, text)
    assert not RAW.search(out.replace("\n", ""))
    decoder, at, found = json.JSONDecoder(), 0, 0
    while at < len(out):
        at = decoder.raw_decode(out, at)[1] + 1
        found += 1
    assert found == count


@few
@given(text=evil)
def test_the_logger_s_name(text):
    for options in ({"format": LAYOUT}, {"json": True}, {"format": "logfmt"}):
        lines = Lines(name="n" + text, **options)
        lines.logger.info("m")
        out = lines.text()
        lines.close()
        assert len(out.splitlines()) == 1
        assert not RAW.search(out[:-1])


@pytest.mark.parametrize("name", ["two\nlines", "bell\x07", "sep\u2028", "c1\x9b"])
def test_a_level_s_name_is_refused(name):
    with pytest.raises(ValueError, match="printable"):
        Lines().logger.add_level(name, 33)


@pytest.mark.parametrize("make", EXCEPTIONS.values(), ids=EXCEPTIONS)
@few
@given(text=evil)
def test_the_exact_traceback_is_python_s_still(make, text):
    error = make(text)
    kind, _, stack, _ = exception_text(error, error.__traceback__)
    assert (kind, stack) == (type(error).__name__, "".join(traceback.format_exception(error)))


def test_a_name_that_source_code_could_have_is_python_s_also_in_text():
    class Inner(Exception):
        pass

    for error in (Inner("x"), class_of(module="größe.zwei")("x"), class_of(module=None)("x"), noted(["while é", ""])):
        assert exception_text(error, None)[3] == ""


def test_odd_names_are_shown_and_do_not_stand_at_the_margin():
    text = exception_text(class_of(module="a\nb", qualname="c d")("x\ny"), None)[3]
    assert text == "    a\\nb.c d: x\n    y\n"
    text = exception_text(noted(["INFO | forged", "[12:00] forged", "while reading\nline 3"]), None)[3]
    assert text == "ValueError: x\n    INFO | forged\n    [12:00] forged\nwhile reading\n    line 3\n"


# ---- what is told elsewhere


@few
@given(evil, evil, evil)
def test_the_report_on_stderr(name, message, note):
    reports = StderrReports(name)
    read_end, reports._fd = os.pipe()
    error = class_of("E" + plain(message))(message)
    error.__notes__ = [note, Text(note)]
    reports.report(error, at_once=True)
    out = os.read(read_end, 65536).decode()
    os.close(read_end)
    os.close(reports._fd)
    assert out.startswith("logly (")
    assert len(out.splitlines()) == out.count("\n") == 1
    assert not RAW.search(out[:-1])


def test_a_report_of_an_error_whose_text_fails(capfd):
    class Mute(Exception):
        def __str__(self):
            raise RuntimeError("no")

    StderrReports("app").report(Mute(), at_once=True)
    assert capfd.readouterr().err == "logly (app): Mute: <its text fails>\n"


@given(evil)
def test_visible_text_is_what_a_line_shows(text):
    lines = test_visible_text_is_what_a_line_shows.lines
    lines.logger.info(text)
    assert lines.text() == as_one_line(text) + "\n"


test_visible_text_is_what_a_line_shows.lines = Lines(format="{message}")


@pytest.mark.skipif(sys.platform == "win32", reason="file names")
def test_what_recover_says_of_a_file(tmp_path):
    odd = tmp_path / "app\n@forged\x1b[2J.spool"
    odd.write_bytes(b"no spool")
    for path in (odd, tmp_path / "gone\n@forged\x1b[2J"):
        done = run_recover(path, returncode=1)
        assert len(done.stderr.splitlines()) == 1
        assert not RAW.search(done.stderr[:-1])


def test_the_books_of_a_logger_that_tells_on_stderr(tmp_path):
    """An argument's error names the place and the message; both may be made from data."""
    program = f"""
import sys
from logly import Logger, LoggerConfig, SinkConfig
logger = Logger(LoggerConfig(auto_sink=False), name="app\\n@forged")
logger.add_sink(SinkConfig(path={str(tmp_path / "log")!r}))
code = compile("log('a\\\\n@forged {{:d}}', 'x')", "p\\n@forged\\x1b[2J", "exec")
exec(code, {{"log": logger.info}})
logger.close()
"""
    done = run_program(program, may_complain=True)
    assert len(done.stderr.splitlines()) == 1
    assert not RAW.search(done.stderr[:-1])
