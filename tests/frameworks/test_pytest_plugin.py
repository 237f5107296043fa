"""The pytest plugin: pytest's own runs in processes of their own, with the plugin."""

import importlib.metadata
import os
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

pytest_plugins = ["pytester"]

IS_INSTALLED = any(one.value == "logly_pytest" for one in importlib.metadata.entry_points(group="pytest11"))

USES = """
    import logging, threading
    import logly

    logger = logly.Logger(logly.LoggerConfig(level="info"))
"""


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch):
    """Runs pytest on a test file."""
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]))

    def run(source: str, *options: str, uses: str = USES) -> pytest.RunResult:
        pytester.makepyfile(test_it=uses + source)
        loads = () if IS_INSTALLED else ("-p", "logly_pytest")
        return pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider", *loads, *options, timeout=120)

    return run


def test_the_fixture_has_the_records_of_all_loggers(run) -> None:
    done = run("""
    def test_one(logly_records):
        logger.debug("below the level")
        logly.Logger(name="new").info("of {n}", n=1)
        assert logly_records == [("DEBUG", "below the level"), ("INFO", "of 1", {"n": 1})]

    def test_two(logly_records):
        assert logly_records == []
    """)
    done.assert_outcomes(passed=2)


CAPLOG = """
    def test_at_once(caplog):
        logger.bind(user=5).info("order {}", 1)
        logger.named("shop").error("no")
        logger.debug("below the level")
        assert [record.getMessage() for record in caplog.records] == ["order 1", "no"]
        assert caplog.record_tuples == [("test_it", 20, "order 1"), ("shop", 40, "no")]
        assert caplog.messages == ["order 1", "no"]
        assert "order 1" in caplog.text and "no" in caplog.text
        assert caplog.records[0].user == 5
        caplog.clear()
        assert caplog.records == []
        logger.info("again")
        assert len(caplog.records) == 1

    def test_late_and_by_request(request):
        caplog = request.getfixturevalue("caplog")
        logly.Logger().warning("new logger")
        assert caplog.get_records("call")[0].message == "new logger"

    def test_levels_of_the_handler(caplog):
        with caplog.at_level(logging.ERROR):
            logger.info("info")
            logger.error("error")
            assert caplog.messages == ["error"]

    def test_threads_and_exceptions(caplog):
        thread = threading.Thread(target=logger.info, args=("thread",), name="mine")
        thread.start()
        thread.join()
        with logger.catch():
            raise KeyError("lost")
        assert caplog.records[0].threadName == "mine"
        assert "KeyError: 'lost'" in caplog.text

    def test_nothing_of_the_tests_before(caplog):
        assert caplog.records == [] and caplog.text == ""
"""


def test_caplog_sees_the_records(run) -> None:
    run(CAPLOG).assert_outcomes(passed=5)


def test_caplog_with_several_workers(run) -> None:
    pytest.importorskip("xdist")
    run(CAPLOG, "-n", "4").assert_outcomes(passed=5)


EDGES = """
    from logly import LoggerConfig, SinkConfig, StdlibSink

    def make():
        return logly.Logger(LoggerConfig(auto_sink=False))

    def test_a_sink_that_gives_some_to_logging(caplog):
        with make() as log:
            log.add_sink(SinkConfig(function=StdlibSink(logging.getLogger("out")), level="error"))
            log.add_sink(SinkConfig(path="some.log"))
            log.warning("w")
            log.error("e")
            assert sorted(caplog.messages) == ["e", "w"]

    def test_a_wrapped_sink_that_gives_to_logging(caplog):
        sink = StdlibSink(logging.getLogger("out"))
        with make() as log:
            log.add_sink(SinkConfig(function=lambda record: sink(record)))
            for _ in range(3):
                log.warning("w")
            assert caplog.messages == ["w"] * 3

    def test_what_a_sink_asks_for_is_there(caplog):
        caplog.set_level(1)
        with make() as log:
            number = log.add_sink(SinkConfig(path="debug.log", level="debug", format="{message}"))
            log.debug("d")
            log.trace("t")
            assert caplog.messages == ["d"]
            log.set_sink_level(number, "error,shop=debug")
            log.warning("w")
            log.named("shop").debug("shop")
            log.add_sink(SinkConfig(path="all.log"))
            log.info("i")
            assert caplog.messages == ["d", "shop", "i"]

    def test_the_levels_of_the_logger_hold(caplog, logly_records):
        caplog.set_level(1)
        with make() as log:
            log.add_sink(SinkConfig(path="error.log", level="error"))
            log.info("i")
            log.error("e")
            assert caplog.messages == ["e"]
            log.set_level("debug,shop=warning")
            log.add_sink(SinkConfig(path="any.log"))
            log.debug("d")
            log.named("shop").info("i")
            assert caplog.messages == ["e", "d"]
            assert logly_records.messages == ["i", "e", "d", "i"]

    def test_the_gate_stays_where_it_is(caplog):
        with make() as log:
            log.add_sink(SinkConfig(path="gate.log", level="error"))
            assert not log.is_enabled_for("info")
            assert log.is_enabled_for("error")

    def test_a_filter_that_fails_costs_no_other_record(caplog):
        class Bad(logging.Filter):
            def filter(self, record):
                if record.getMessage() == "1":
                    raise KeyError("filter")
                return True

        bad = Bad()
        with make() as log:
            caplog.handler.addFilter(bad)
            for text in "123":
                log.warning(text)
            try:
                len(caplog.records)
            except KeyError as error:
                assert error.args == ("filter",)
            else:
                assert 0
            assert caplog.messages == ["2", "3"]
            caplog.handler.removeFilter(bad)

    def test_other_threads_read_it(caplog):
        found = []

        def work():
            log.warning("in a thread")
            found.extend(caplog.messages)

        with make() as log:
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
        assert found == caplog.messages == ["in a thread"]

    def test_sums_and_changes_are_complete(caplog):
        with make() as log:
            log.warning("1")
            assert len([None] + caplog.records) == 2
            log.warning("2")
            del caplog.records[:]
            assert caplog.records == []
"""


@pytest.mark.parametrize("options", [[], ["--log-cli-level=1", "--log-file=all.log", "--log-file-level=1"]])
def test_caplog_has_what_is_let_through_and_nothing_else(run, options: list[str]) -> None:
    run(EDGES, *options).assert_outcomes(passed=8)


READS = {
    "copy": (),
    "count": (1,),
    "index": (1,),
    "insert": (0, 2),
    "pop": (),
    "remove": (1,),
    "reverse": (),
    "sort": (),
}


@pytest.mark.parametrize("name", ["clear", *READS])
def test_a_method_of_the_records_first_waits_for_what_is_on_its_way(name: str) -> None:
    import logly_pytest

    late = [1]
    records = logly_pytest._WaitingList()

    def complete() -> None:
        while late:
            list.append(records, late.pop())

    records.complete = complete
    usual = [1]
    arguments = READS.get(name, ())
    assert getattr(records, name)(*arguments) == getattr(usual, name)(*arguments)
    assert late == []
    assert list(records) == usual


def test_a_pytest_inside_a_test_has_records_of_its_own(run) -> None:
    done = run(
        """
    import pytest

    pytest_plugins = ["pytester"]

    def test_outer(pytester, caplog):
        caplog.set_level(1)
        pytester.makepyfile('''
            import logging, logly

            def test_inner(caplog):
                logly.Logger(logly.LoggerConfig(auto_sink=False)).warning("inner")
                logging.warning("std")
                assert sorted(caplog.messages) == ["inner", "std"]
        ''')
        pytester.runpytest_inprocess("-p", "logly_pytest").assert_outcomes(passed=1)
        assert caplog.messages.count("inner") == 1
        assert caplog.messages.count("std") == 1
        """
    )
    done.assert_outcomes(passed=1)


ONCE = """
    def fresh():
        return logly.Logger(logly.LoggerConfig(auto_sink=False))

    def check(caplog, log):
        logging.getLogger("std").warning("by logging")
        log.warning("by logly")
        assert sorted(caplog.messages) == ["by logging", "by logly"], caplog.messages

    def test_plain(caplog):
        check(caplog, fresh())

    def test_a_handler_that_gives_to_logly(caplog):
        with fresh() as log:
            handler = logly.StdlibHandler(log)
            logging.getLogger().addHandler(handler)
            check(caplog, log)
            logging.getLogger().removeHandler(handler)

    def test_a_sink_that_gives_to_logging(caplog):
        with fresh() as log:
            log.add_sink(logly.SinkConfig(function=logly.StdlibSink(logging.getLogger("out"))))
            check(caplog, log)

    def test_installed(caplog):
        logly.install()
        try:
            check(caplog, fresh())
            logging.getLogger("std").warning("by logging")
            logging.getLogger("std").warning("by logging")
            assert caplog.messages.count("by logging") == 3
        finally:
            logly.uninstall()

    def test_installed_for_a_logger(caplog):
        with fresh() as log:
            log.add_sink(logly.SinkConfig(path="app.log"))
            logly.install(log)
            try:
                check(caplog, log)
                logging.getLogger("std").warning("by logging")
                assert caplog.messages.count("by logging") == 2
            finally:
                logly.uninstall()
"""


def test_each_record_comes_once(run) -> None:
    run(ONCE).assert_outcomes(passed=5)


def test_it_does_without_pytests_logging(run) -> None:
    done = run(
        """
    def test_records(logly_records):
        logger.info("there")
        assert logly_records.messages == ["there"]

    def test_no_caplog(caplog):
        pass
    """,
        "-p",
        "no:logging",
    )
    done.assert_outcomes(passed=1, errors=1)


def test_the_live_log_and_the_log_file_have_them(run, pytester: pytest.Pytester) -> None:
    done = run(
        """
    def test_live():
        logger.info("live one")
        print("captured")
        assert 0
    """,
        "--log-cli-level=INFO",
        "--log-file=all.log",
        "--log-file-level=INFO",
    )
    done.assert_outcomes(failed=1)
    live, report = done.stdout.str().split("= FAILURES =")
    assert live.count("live one") == 1
    assert report.partition("Captured log call")[2].count("live one") == 1
    assert report.partition("Captured stdout call")[2].startswith(" -----------------------------\ncaptured\n")
    assert (pytester.path / "all.log").read_text().count("live one") == 1


def test_the_report_of_a_failed_test_has_them(run) -> None:
    done = run("""
    def test_fails(caplog):
        logger.info("why it failed")
        assert 0
    """)
    assert "Captured log call" in done.stdout.str()
    assert "why it failed" in done.stdout.str().partition("Captured log call")[2]


def test_pytest_starts_without_logly(run) -> None:
    done = run(
        """
    import sys

    def test_nothing_is_imported(caplog):
        assert "logly_pytest" in sys.modules
        assert "logly" not in sys.modules

    def test_it_begins_with_the_first_logger(caplog):
        import logly
        logly.Logger(logly.LoggerConfig(auto_sink=False)).warning("first")
        assert caplog.messages == ["first"]

    def test_it_goes_on(caplog):
        import logly
        logly.Logger(logly.LoggerConfig(auto_sink=False)).warning("second")
        assert caplog.messages == ["second"]
    """,
        uses="",
    )
    done.assert_outcomes(passed=3)


def test_a_logly_that_cannot_be_imported_is_no_trouble(run, pytester: pytest.Pytester) -> None:
    pytester.mkpydir("logly").joinpath("__init__.py").write_text("raise ImportError('broken')")
    done = run(
        """
    import logging

    def test_without_logly(caplog):
        logging.warning("by logging")
        assert caplog.messages == ["by logging"]
    """,
        uses="""
    import sys
    sys.path.insert(0, ".")
    """,
    )
    done.assert_outcomes(passed=1)


def test_the_entry_point_names_the_module() -> None:
    import tomllib

    project = Path(ROOT / "pyproject.toml")
    settings = tomllib.loads(project.read_text(encoding="utf-8"))
    assert settings["project"]["entry-points"]["pytest11"] == {"logly_pytest": "logly_pytest"}
    assert settings["tool"]["setuptools"]["py-modules"] == ["logly_pytest"]
    assert sys.modules.get("logly_pytest") is not None or not IS_INSTALLED
