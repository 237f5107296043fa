"""Call sites: what `inspect` says at the call is what stands in the line; routing by them."""

import functools
import inspect
import itertools
import sys
import threading

import pytest

from logly import LoggerConfig, SinkConfig
from tests.support.lines import Lines
from tests.support.programs import run_python

LAYOUT = "{module}|{function}|{path}|{lineno}|{filename}"


@pytest.fixture(scope="module")
def lines():
    lines = Lines(format=LAYOUT)
    yield lines
    lines.close()


def told(lines):
    """Module, function, path and line of each record."""
    found = []
    for line in lines.lines():
        module, function, path, number, filename = line.split("|")
        assert path.endswith(filename)
        found.append((module, function, path, int(number)))
    return found


def here(depth=1):
    frame = inspect.currentframe()
    for _ in range(depth):
        frame = frame.f_back
    return (frame.f_globals["__name__"], frame.f_code.co_name, frame.f_code.co_filename, frame.f_lineno)


def test_functions_of_every_kind(lines):
    log, expected = lines.logger.info, []

    def decorator(function):
        @functools.wraps(function)
        def wrapper(*args):
            log("in the wrapper"), expected.append(here())
            return function(*args)

        return wrapper

    @decorator
    def decorated():
        log("x"), expected.append(here())

    def generator():
        log("x"), expected.append(here())
        yield
        log("x"), expected.append(here())

    async def coroutine():
        log("x"), expected.append(here())

    decorated()
    list(generator())
    with pytest.raises(StopIteration):
        coroutine().send(None)
    (lambda: (log("x"), expected.append(here())))()
    [(log("x"), expected.append(here())) for _ in range(2)]

    class Body:
        log("x"), expected.append(here())

        def method(self):
            log("x"), expected.append(here())

        @staticmethod
        def static():
            log("x"), expected.append(here())

    Body().method()
    Body.static()
    assert told(lines) == expected
    assert len(expected) == 11


def test_calls_through_other_callables(lines):
    expected = []
    functools.partial(lines.logger.info, "x")(), expected.append(here())
    list(map(lines.logger.info, ["x", "y"])), expected.extend([here()] * 2)
    getattr(lines.logger, "inf" + "o")("x"), expected.append(here())
    type(lines.logger).info(lines.logger, "x"), expected.append(here())
    sorted([2, 1], key=lambda n: (lines.logger.info("x"), expected.append(here()), n)[-1])
    lines.logger.log("INFO", "x"), expected.append(here())
    lines.logger.bind(a=1).info("x"), expected.append(here())
    lines.logger.info("x", a=object()), expected.append(here())
    assert told(lines) == expected


PLACES = """\
log(
    "x {} {}",
    here(),
    2,
)
found = [log("x {}", here()), log("y {}",
    here())]
for _ in range(3): log("x {}", here()); log("y {}", here())
log("z {}",
    here()); log(
    "u {}", here())
(log)(*("x {}", here()), **{"a": here()})
"""


def test_calls_over_several_lines_and_several_in_one_line(lines):
    """`inspect` in an argument tells the argument's line, and where the call itself stands is told by the compiler."""
    with Lines(format="{lineno}") as numbers:
        code = compile(PLACES, "<places>", "exec")
        positions = {}
        for offset, (first, *_) in enumerate(code.co_positions()):
            positions[2 * offset] = first
        expected = []

        def log(*args, **fields):
            expected.append(positions[sys._getframe(1).f_lasti])

        exec(code, {"__name__": "places", "log": log, "here": here})
        exec(code, {"__name__": "places", "log": numbers.logger.info, "here": here})
        assert numbers.lines() == [str(line) for line in expected]
        assert expected == [1, 6, 6, *[8] * 6, 9, 10, 12]


def test_stacklevel(lines):
    def wrapper(level):
        lines.logger.info("x", stacklevel=level)

    def outer(level):
        wrapper(level)

    sites = {}
    for level in (1, 2, 3):
        outer(level)
        [sites[level]] = told(lines)
    first = wrapper.__code__.co_firstlineno
    assert [sites[level][1] for level in (1, 2, 3)] == ["wrapper", "outer", "test_stacklevel"]
    assert [sites[level][3] - first for level in (1, 2, 3)] == [1, 4, 8]


def test_a_stacklevel_beyond_the_stack_means_the_outermost_frame_and_nonsense_means_one(lines):
    for level in (10_000, 10**30, 0, -5, "2", None, 2.5):
        lines.logger.info("x", stacklevel=level)
    frame = inspect.currentframe()
    while frame.f_back is not None:
        frame = frame.f_back
    found = told(lines)
    assert {site[1] for site in found[:2]} == {frame.f_code.co_name}
    assert [site[1] for site in found[2:]] == [inspect.currentframe().f_code.co_name] * 5


def test_stacklevel_of_exceptions(lines):
    def wrapper():
        lines.logger.exception("x", stacklevel=2)

    wrapper(), (expected := here())
    assert told(lines) == [expected]


SOURCE = "log('x')\n\ndef function():\n    log('y')\n"


def test_one_code_object_run_as_several_modules(lines):
    code = compile(SOURCE, "<shared>", "exec")
    spaces = [{"__name__": name, "log": lines.logger.info} for name in ("one", "two", "one.sub")]
    for _ in range(3):
        for space in spaces:
            exec(code, space)
            space["function"]()
    expected = [
        (space["__name__"], function, "<shared>", line)
        for space in spaces
        for function, line in (("<module>", 1), ("function", 4))
    ]
    assert told(lines) == expected * 3


def test_code_run_in_a_fresh_namespace_each_time(lines):
    code = compile("log('x')", "<fresh>", "exec")
    for _ in range(500):
        exec(code, {"__name__": "fresh", "log": lines.logger.info})
    assert told(lines) == [("fresh", "<module>", "<fresh>", 1)] * 500


def test_code_run_as_more_modules_than_are_kept(lines):
    code = compile("log('x')", "<many>", "exec")
    spaces = [{"__name__": f"m{i}", "log": lines.logger.info} for i in range(100)]
    for space in spaces * 2:
        exec(code, space)
    assert [module for module, *_ in told(lines)] == [space["__name__"] for space in spaces * 2]


def test_namespaces_without_a_name_or_with_an_odd_one(lines):
    class Space(dict):
        def get(self, *_):
            raise RuntimeError("no")

    code = compile("log('x')", "<nameless>", "exec")
    for space in ({}, {"__name__": 5}, Space(__name__="sub")):
        space["log"] = lines.logger.info
        exec(code, space)
    assert [module for module, *_ in told(lines)] == ["?", "?", "sub"]


def test_without_any_python_frame(lines):
    import _thread

    done = threading.Event()
    lines.logger.add_sink(SinkConfig(function=lambda record: done.set()))
    _thread.start_new_thread(lines.logger.info, ("x",))
    assert done.wait(30)
    lines.logger.remove_sink(lines.logger.list_sinks()[-1])
    assert told(lines) == [("?", "?", "?", 0)]


@pytest.mark.parametrize("options", [[], ["-O"], ["-OO"]])
def test_main_and_no_source(options, tmp_path):
    """The module is __main__; a program without source on disk has its places all the same."""
    program = (
        "import sys\nfrom logly import Logger, SinkConfig\n"
        f"logger = Logger()\nlogger.add_sink(SinkConfig(fd=1, format={LAYOUT!r}))\n"
        "def work():\n    logger.info('x')\nwork()\nlogger.info('y')\nlogger.close()\n"
    )
    done = run_python(*options, "-c", program)
    assert done.stdout == "__main__|work|<string>|6|<string>\n__main__|<module>|<string>|8|<string>\n"


def test_a_module_is_named_as_it_was_imported(tmp_path, monkeypatch, lines):
    package = tmp_path / "shop"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "db.py").write_text("def query(log):\n    log('x')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    from shop.db import query

    query(lines.logger.info)
    assert told(lines) == [("shop.db", "query", str(package / "db.py"), 2)]


# ---- routing


def spaces(lines):
    """A function in each of several modules."""
    names = ["app", "app.db", "app.db.pool", "application", "other", "__main__"]
    code = compile("def load(): log('{}', n)\ndef save(): log('{}', n)\n", "<routed>", "exec")
    found = []
    for name in names:
        space = {"__name__": name, "log": lines.logger.info, "n": name}
        exec(code, space)
        found.append(space)
    return found


@pytest.mark.parametrize(
    ("sink", "wanted"),
    [
        ({"filter_module": "app"}, ["app", "app.db", "app.db.pool"]),
        ({"filter_module": "app.db"}, ["app.db", "app.db.pool"]),
        ({"filter_module": ["app.db.pool", "other"]}, ["app.db.pool", "other"]),
        ({"filter_module": "__main__"}, ["__main__"]),
        ({"filter_module": "nothing"}, []),
        ({"filter_module": "app", "filter_function": "load"}, ["app", "app.db", "app.db.pool"]),
        ({"filter_function": "load"}, ["app", "app.db", "app.db.pool", "application", "other", "__main__"]),
        ({"filter_function": ["nothing"]}, []),
    ],
)
def test_a_sink_takes_what_its_filters_say(sink, wanted):
    with Lines(format="{message}|{function}", **sink) as lines:
        everything = Lines(format="{message}")
        for space in spaces(lines) * 3:
            space["load"]()
            space["save"]()
        functions = ["load"] if "filter_function" in sink else ["load", "save"]
        assert lines.lines() == [f"{name}|{function}" for name, function in itertools.product(wanted, functions)] * 3
        everything.close()


def test_routing_where_the_registry_has_no_place(lines):
    with Lines(format="{module}", filter_module="m99") as routed:
        code = compile("log('x')", "<routed many>", "exec")
        spaces = [{"__name__": f"m{i}", "log": routed.logger.info} for i in range(120)]
        for space in spaces:
            exec(code, space)
        assert routed.lines() == ["m99"]


def test_a_module_with_another_alphabet_is_routed():
    with Lines(format="{module}", filter_module="größe") as routed:
        code = compile("log('x')", "<alphabet>", "exec")
        names = [*(f"m{i}" for i in range(70)), "größe.unter", "größer", "größe"]
        spaces = [{"__name__": name, "log": routed.logger.info} for name in names]
        for space in spaces:
            exec(code, space)
        assert routed.lines() == ["größe.unter", "größe"]


def test_sites_cost_nothing_where_no_sink_shows_them():
    with Lines(LoggerConfig(level=0), format="{message}") as lines:
        lines.logger.info("x")
        lines.logger.add_sink(SinkConfig(fd=lines.fd, format="{function}"))
        lines.logger.info("y")
        assert lines.lines() == ["x", "y", "test_sites_cost_nothing_where_no_sink_shows_them"]
