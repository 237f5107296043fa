"""Levels by name, while the program runs: who decides, what a change holds for, and that it leaves nothing behind."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import logly
from logly import ConfigError, Logger, LoggerConfig, SinkConfig
from tests.support.loggers import assert_books, file_logger, make_logger
from tests.support.programs import environment, run_program
from tests.support.waiting import wait_until


def log_as(logger: Logger, module: str, level: str, text: str) -> None:
    """One record from a call site of this module."""
    code = compile(f"logger.{level}({text!r})", f"{module.replace('.', '/')}.py", "exec")
    exec(code, {"logger": logger, "__name__": module})


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


# ---- what holds for whom


def test_without_a_level_each_sink_gets_what_it_asks_for(tmp_path: Path) -> None:
    logger = make_logger()
    for name, level in (("none", None), ("debug", "debug"), ("error", "error"), ("by_name", "shop=trace")):
        logger.add_sink(SinkConfig(path=tmp_path / name, format="{message}", level=level))
    for module in ("other", "shop.db"):
        for level in ("trace", "debug", "info", "error"):
            log_as(logger, module, level, f"{module} {level}")
    logger.close()
    assert lines(tmp_path / "none") == ["other info", "other error", "shop.db info", "shop.db error"]
    assert lines(tmp_path / "debug") == [f"{m} {n}" for m in ("other", "shop.db") for n in ("debug", "info", "error")]
    assert lines(tmp_path / "error") == ["other error", "shop.db error"]
    expected = ["other info", "other error", *(f"shop.db {n}" for n in ("trace", "debug", "info", "error"))]
    assert lines(tmp_path / "by_name") == expected


def test_a_given_level_is_a_floor_for_all_sinks(tmp_path: Path) -> None:
    logger = file_logger(tmp_path / "log", level="info,shop=debug", sink={"level": "trace"})
    for module in ("other", "shop", "shopping"):
        for level in ("trace", "debug", "info"):
            log_as(logger, module, level, f"{module} {level}")
    logger.close()
    assert lines(tmp_path / "log") == ["other info", "shop debug", "shop info", "shopping info"]


def test_a_named_logger_goes_by_its_name_and_others_by_the_module(tmp_path: Path) -> None:
    logger = file_logger(tmp_path / "log", level="warning,shop.db=debug,noisy=off")
    database, noisy = logger.named("shop.db.pool"), logger.named("noisy")
    for one, name in ((logger, "plain"), (database, "database"), (noisy, "noisy")):
        log_as(one, "shop.db", "debug", f"{name} in shop.db")
        log_as(one, "noisy", "error", f"{name} in noisy")
        log_as(one, "other", "error", f"{name} in other")
    logger.close()
    assert lines(tmp_path / "log") == [
        "plain in shop.db", "plain in other", "database in shop.db", "database in noisy", "database in other"
    ]  # fmt: skip


def test_who_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table of the documentation, each row over the one before it."""
    file = tmp_path / "level"
    monkeypatch.setenv("LOGLY_LEVEL", "error,env=trace")

    def threshold(logger: Logger, module: str = "x") -> int:
        return next(
            n for n in range(1, 60) if eval("logger.is_enabled_for(n)", {"logger": logger, "n": n, "__name__": module})
        )

    with make_logger() as logger:
        logger.add_sink(SinkConfig(path=tmp_path / "log", level="trace"))
        assert (threshold(logger), threshold(logger, "env")) == (40, 5)
        logger.set_level("a=debug")  # LOGLY_LEVEL holds where the program says nothing
        assert [threshold(logger, m) for m in ("x", "env", "a")] == [40, 5, 10]
        logger.set_level("warning")
        assert [threshold(logger, m) for m in ("x", "env", "a")] == [30, 30, 30]
        logger.configure(LoggerConfig(auto_sink=False, level="fail,a=info", level_file=file))
        assert [threshold(logger, m) for m in ("x", "a")] == [45, 20]
        file.write_text("info\nb=debug\n")
        wait_until(lambda: threshold(logger) == 20, "the level file")
        assert [threshold(logger, m) for m in ("x", "a", "b", "b.c")] == [20, 20, 10, 10]
        with logger.at_level("b=warning,trace"):
            assert [threshold(logger, m) for m in ("x", "a", "b")] == [5, 20, 30]
            with logger.at_level("critical", name="a"):
                assert [threshold(logger, m) for m in ("x", "a", "b")] == [5, 50, 30]
            assert threshold(logger, "a") == 20
        assert [threshold(logger, m) for m in ("x", "a", "b")] == [20, 20, 10]
        file.unlink()
        wait_until(lambda: threshold(logger) == 45, "the end of the level file")
        logger.set_level(None)
        assert [threshold(logger, m) for m in ("x", "env", "a")] == [40, 5, 40]


IN_THE_ENVIRONMENT = """
from logly import Logger, LoggerConfig, SinkConfig
logger = Logger(LoggerConfig(auto_sink=False))
logger.add_sink(SinkConfig(stream="stdout", format="{message}", level="trace"))
logger.debug("debug")
logger.named("quiet").error("quiet")
logger.named("loud").trace("loud")
Logger(LoggerConfig(auto_sink=False)).close()
logger.close()
"""


@pytest.mark.parametrize(("text", "written"), [("", ["debug", "quiet", "loud"]), ("off", []), ("error", ["quiet"])])
def test_the_environment_variable(text: str, written: list[str]) -> None:
    run = run_program(IN_THE_ENVIRONMENT, env=environment(LOGLY_LEVEL=text))
    assert run.stdout.splitlines() == written


def test_what_is_wrong_in_the_environment_variable_is_told_once_and_the_rest_holds() -> None:
    text = "debug,quiet=off,wrong=,loud=trace,=x"
    run = run_program(IN_THE_ENVIRONMENT, env=environment(LOGLY_LEVEL=text), may_complain=True)
    assert run.stdout.splitlines() == ["debug", "loud"]
    told = run.stderr.splitlines()
    assert [line.partition(": ")[0] for line in told] == ["logly", "logly"]
    assert f"LOGLY_LEVEL = {text!r}: at character 17, there is no level after 'wrong='" in told[0]
    assert "at character 35, there is no name before '=x'" in told[1]


def test_a_change_holds_for_what_is_logged_after_it(tmp_path: Path) -> None:
    """The flusher is kept from taking records meanwhile, so all of them are in the ring when the levels change."""
    logger = make_logger()
    release = threading.Event()
    logger.add_sink(SinkConfig(function=lambda _: release.wait(60)))
    first = logger.add_sink(SinkConfig(path=tmp_path / "first", format="{message}"))
    logger.add_sink(SinkConfig(path=tmp_path / "second", format="{message}", level="debug"))
    logger.info("0 starts the function")
    logger.debug("1 second only")
    with logger.at_level("debug"):
        logger.debug("2 both")
    logger.debug("3 second only")
    logger.set_sink_level(first, "trace,x=off")
    logger.trace("4 first only")
    logger.debug("5 both")
    logger.set_sink_level(first, "warning")
    logger.debug("6 second only")
    logger.set_level("error")
    logger.warning("7 nobody")
    logger.set_level(None)
    logger.warning("8 both")
    release.set()
    logger.close()
    assert [line[0] for line in lines(tmp_path / "first")] == list("02458")
    assert [line[0] for line in lines(tmp_path / "second")] == list("0123568")
    assert_books(logger)
    assert not logger.set_sink_level(99, "info")


def test_levels_change_under_load_and_the_books_balance(tmp_path: Path) -> None:
    logger = make_logger(level="info")
    sinks = [logger.add_sink(SinkConfig(path=tmp_path / str(n), format="{message}")) for n in range(3)]
    rounds, stop = 2000, threading.Event()

    def work(number: int) -> None:
        named = logger.named(f"w{number}")
        for n in range(rounds):
            named.debug("debug {}", n)
            named.error("error {}", n)
            logger.error("plain {}", n)

    def change() -> None:
        n = 0
        while not stop.is_set():
            n += 1
            with logger.at_level("debug", name=f"w{n % 4}"):
                logger.set_sink_level(sinks[n % 3], ("debug", "info", "error", "w1=trace,info", None)[n % 5])
            logger.set_level(("info", "error,w2=debug", "trace")[n % 3])

    changer = threading.Thread(target=change)
    workers = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    changer.start()
    try:
        for thread in workers:
            thread.start()
        for thread in workers:
            thread.join()
    finally:
        stop.set()
        changer.join()
    assert logger.close()
    assert_books(logger)
    for n in range(3):  # an error is let through by every level that was set
        found = lines(tmp_path / str(n))
        assert sum(line.startswith("error") for line in found) == 4 * rounds
        assert sum(line.startswith("plain") for line in found) == 4 * rounds
    assert logger.stats().dropped == logger.stats().failed == 0


# ---- overlays


def test_two_overlays_that_overlap_in_two_threads_leave_nothing_behind() -> None:
    with make_logger(level="warning") as logger:
        logger.add_sink(SinkConfig(function=lambda _: None))
        entered, left = threading.Barrier(2), threading.Event()
        seen = []

        def other() -> None:
            with logger.at_level("debug", name="shop"):
                entered.wait()
                left.wait()
                seen.append((logger.named("shop").is_enabled_for("debug"), logger.named("db").is_enabled_for("info")))

        thread = threading.Thread(target=other)
        with logger.at_level("info"):
            thread.start()
            entered.wait()
            assert logger.named("shop.x").is_enabled_for("debug")
            assert logger.named("db").is_enabled_for("info")
        left.set()
        thread.join()
        assert seen == [(True, False)]
        assert not logger.named("shop").is_enabled_for("info")
        assert logger.config.level == "warning"


def test_an_overlay_is_reusable_reentrant_and_a_decorator() -> None:
    with make_logger(level="warning") as logger:
        logger.add_sink(SinkConfig(function=lambda _: None))
        overlay = logger.at_level("debug")

        @overlay
        def inside() -> bool:
            return logger.is_enabled_for("debug")

        for _ in range(2):
            with overlay, overlay:
                assert logger.is_enabled_for("debug")
            assert not logger.is_enabled_for("info")
        assert inside()
        with pytest.raises(ZeroDivisionError), overlay:
            raise ZeroDivisionError
        assert not logger.is_enabled_for("info")


# ---- named loggers and levels


def test_a_level_of_a_named_logger_is_that_of_its_name() -> None:
    with make_logger(level="warning,other=off") as logger:
        logger.add_sink(SinkConfig(function=lambda _: None))
        shop = logger.named("shop")
        shop.set_level("debug")
        assert shop.is_enabled_for("debug")
        assert logger.named("shop.db").is_enabled_for("debug")
        assert not logger.is_enabled_for("info")
        assert not logger.named("other").is_enabled_for("critical")
        with logger.named("shop.db").at_level("error"):
            assert not logger.named("shop.db").is_enabled_for("info")
            assert shop.is_enabled_for("debug")
        with pytest.raises(ConfigError, match="for one name, give one level"):
            shop.set_level("info,x=debug")
        shop.set_level(None)
        assert not shop.is_enabled_for("info")
        assert logger.is_enabled_for("warning")


def test_a_mapping_is_copied_when_it_is_set() -> None:
    with make_logger() as logger:
        levels = {"": "info", "a": "debug"}
        logger.set_level(levels)
        levels["a"] = "off"
        assert logger.config.level == {"": "info", "a": "debug"}
        logger.configure(async_flush_interval=7)
        assert logger.named("a").is_enabled_for("debug") is False  # there is no sink
        logger.add_sink(SinkConfig(function=lambda _: None))
        assert logger.named("a").is_enabled_for("debug")


def test_what_cannot_be_read_changes_nothing() -> None:
    with make_logger(level="info,a=debug") as logger:
        sink = logger.add_sink(SinkConfig(function=lambda _: None))
        for wrong in ("inof", {"a": "x"}, 3.5):
            for call in (logger.set_level, lambda value: logger.set_sink_level(sink, value), logger.at_level):
                with pytest.raises(ConfigError):
                    call(wrong)
        assert logger.named("a").is_enabled_for("debug")
        assert logger.config.level == "info,a=debug"


# ---- the level file


def test_the_level_file_is_followed(tmp_path: Path) -> None:
    file, told = tmp_path / "level", []
    with make_logger(level="warning", level_file=file, on_error=told.append) as logger:
        logger.add_sink(SinkConfig(path=tmp_path / "log"))
        shop = logger.named("shop")
        assert not shop.is_enabled_for("info")
        file.write_text("shop=debug  # until the incident is over\n")
        wait_until(lambda: shop.is_enabled_for("debug"), "the level file")
        file.write_text("shop=deubg\n")
        wait_until(lambda: told, "the report")
        assert shop.is_enabled_for("debug")
        assert "at character 1, 'deubg' is no level" in str(told[0])
        os.replace(tmp_path / "log", tmp_path / "kept")
        (tmp_path / "new").write_text("\ufeffshop=info")
        os.replace(tmp_path / "new", file)
        wait_until(lambda: not shop.is_enabled_for("debug"), "the new file")
        assert shop.is_enabled_for("info")
        file.unlink()
        wait_until(lambda: not shop.is_enabled_for("info"), "the removal")
        assert len(told) == 1
        file.write_bytes(b"\xff")
        wait_until(lambda: len(told) == 2, "the report")
        file.unlink()
        file.mkdir()
        wait_until(lambda: len(told) == 3, "the report")
        assert not shop.is_enabled_for("info")


def test_a_level_file_turns_on_what_was_off_from_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No record has started the flusher. Also in a child process, also after the directory has changed."""
    monkeypatch.chdir(tmp_path)
    with make_logger(level="off", level_file="level") as logger:
        logger.add_sink(SinkConfig(path=tmp_path / "log", format="{process} {message}", async_write=False))
        os.chdir("/")
        (tmp_path / "level").write_text("info")
        wait_until(lambda: logger.is_enabled_for("info"), "the level file")
        (tmp_path / "level").write_text("off")
        wait_until(lambda: not logger.is_enabled_for("info"), "the level file")
        child = os.fork()
        if child == 0:
            code = 1
            try:
                wait_until(lambda: logger.is_enabled_for("info"), "the level file")
                logger.info("from the child")
                code = 0
            finally:
                os._exit(code)
        (tmp_path / "level").write_text("debug")
        assert os.waitpid(child, 0)[1] == 0
        assert lines(tmp_path / "log") == [f"{child} from the child"]


def test_a_level_file_that_is_there_holds_from_the_first_call(tmp_path: Path) -> None:
    (tmp_path / "level").write_text("debug")
    with make_logger(level_file=tmp_path / "level") as logger:
        logger.add_sink(SinkConfig(path=tmp_path / "log", format="{message}"))
        logger.debug("first")
    assert lines(tmp_path / "log") == ["first"]
    os.mkfifo(tmp_path / "pipe")
    told: list[Any] = []
    with make_logger(level_file=tmp_path / "pipe", on_error=told.append) as logger:
        wait_until(lambda: told, "the report")
        assert "not a file" in str(told[0])


# ---- in words


def test_explain(tmp_path: Path) -> None:
    with make_logger(level="info,shop.db=debug") as logger:
        logger.add_sink(SinkConfig(path=tmp_path / "all"))
        logger.add_sink(SinkConfig(stream="stderr", level="warning,shop=info"))
        off = logger.add_sink(SinkConfig(path=tmp_path / "off"))
        logger.add_sink(SinkConfig(function=print, filter_module="shop", filter=bool, filter_function=["f", "g"]))
        logger.disable_sink(off)
        assert logger.explain("debug", module="shop.db.pool") == "\n".join([
            "DEBUG from the module 'shop.db.pool': written by 2 of 4 sinks",
            "  level: DEBUG and above, by 'shop.db=debug' of the logger's level: passes",
            f"  sink 1 ({tmp_path / 'all'}): gets it",
            "  sink 2 (stderr): does not get it: it asks for INFO and above, by 'shop=info'",
            f"  sink 3 ({tmp_path / 'off'}): does not get it: it is switched off by disable_sink()",
            "  sink 4 (function): gets it if its function is f or g and its filter returns True",
        ])  # fmt: skip
        assert logger.named("x").explain(10).splitlines()[:2] == [
            "DEBUG of the logger 'x': not written",
            "  level: INFO and above, by 'info' of the logger's level: the call returns at once",
        ]
        with logger.at_level("off", name="x"):
            assert "nothing, by 'x=off' of at_level: the call returns at once" in logger.explain(50, name="x.y")
        logger.disable()
        assert "everything is switched off by disable()" in logger.explain(50)
    with Logger(LoggerConfig(auto_sink=False)) as logger:
        assert logger.explain("info").splitlines() == [
            "INFO: not written", "  level: none is set: what the sinks ask for, INFO and above where they ask for none"
        ]  # fmt: skip
        logger.add_sink(SinkConfig(stream="stderr"))
        assert "neither the logger nor the sink has a level, so it gets INFO and above" in logger.explain("debug")
        with pytest.raises(ConfigError):
            logger.explain("nothing")


def test_explain_tells_directives_that_match_no_logger(tmp_path: Path) -> None:
    with Logger(auto_sink=False, level="info,pricing=debug,shop.db=off,nothing=error", name="shop") as logger:
        logger.add_sink(SinkConfig(path=tmp_path / "app.log", level="shop.pricng=trace"))
        pricing = logger.named("pricing")
        assert pricing.name == "shop.pricing"
        logger.named("db").named("pool")
        answer = pricing.explain("debug").splitlines()
        assert answer[1] == "  level: INFO and above, by 'info' of the logger's level: the call returns at once"
        assert answer[2] == (
            "  directives: shop.pricng=trace matches no logger made so far; did you mean shop.pricing=trace?; "
            "pricing=debug matches no logger made so far; did you mean shop.pricing=debug?; "
            "nothing=error matches no logger made so far"
        )
        logger.set_level("info," + ",".join(f"zz{number}=debug" for number in range(9)))
        assert "; and 5 more" in pricing.explain("debug")
        logger.set_level("info,shop.pricing=debug")
        logger.set_sink_level(1, None)
        assert "directives:" not in pricing.explain("debug")
        assert "by 'shop.pricing=debug' of the logger's level: passes" in pricing.explain("debug")


def test_explain_says_that_the_module_does_not_decide_for_a_named_logger() -> None:
    with Logger(auto_sink=False, level="info,pricing=debug", name="shop") as logger:
        told = "no directive is looked up for it, because the logger has a name; filter_module of a sink looks at it"
        assert f"  module: {told}" in logger.explain("debug", module="pricing").splitlines()
        assert "  module:" not in logger.explain("debug")
    with Logger(auto_sink=False, level="info,pricing=debug") as logger:
        answer = logger.explain("debug", module="pricing")
        assert "by 'pricing=debug' of the logger's level: passes" in answer
        assert "directives:" not in answer
        assert "  module:" not in answer


def test_explain_says_what_happens(tmp_path: Path) -> None:
    """For each of many questions, the answer agrees with what a record does."""
    specs = [None, "info", "debug,a=off", "a=trace", "warning,a.b=debug"]
    for own in specs:
        for asked in specs:
            with make_logger(level=own) as logger:
                sink = logger.add_sink(SinkConfig(path=tmp_path / "log", level=asked))
                for name in ("a", "a.b", "z"):
                    for level in ("trace", "debug", "info", "warning"):
                        before = logger.sink_stats(sink).written
                        getattr(logger.named(name), level)("x")
                        logger.flush()
                        is_written = logger.sink_stats(sink).written > before
                        answer = logger.explain(level, name=name)
                        assert ("written by 1 of 1" in answer) == is_written, (own, asked, name, level, answer)


def test_the_ready_made_logger_is_shared() -> None:
    assert logly.get_logger("a")._controller is logly.logger._controller


def told_of(act: Callable[[Logger], object], **settings: Any) -> list[str]:
    told: list[Exception] = []
    with Logger(auto_sink=False, on_error=told.append, **settings) as logger:
        act(logger)
        logger.flush()
    return [str(error) for error in told]


def test_a_sink_that_asks_for_what_the_logger_stops_is_told_once() -> None:
    def act(logger: Logger) -> None:
        logger.add_sink(print, level="warning")
        sink = logger.add_sink(print, level="debug")
        logger.set_level("warning")
        logger.set_level("error")
        logger.set_sink_level(sink, "trace")

    first, second = told_of(act, level="info")
    assert first == "sink 2 asks for DEBUG, but the logger stops below INFO: set_level('debug')"
    assert second == "sink 1 asks for WARNING, but the logger stops below ERROR: set_level('warning')"


def test_a_sink_that_changes_what_it_asks_for_is_told() -> None:
    told = told_of(lambda logger: logger.set_sink_level(logger.add_sink(print), 15), level=20)
    assert told == ["sink 1 asks for 15, but the logger stops below INFO: set_level(15)"]
    told = told_of(lambda logger: (logger.add_sink(print, level="info"), logger.configure(level="fail")))
    assert told == ["sink 1 asks for INFO, but the logger stops below FAIL: set_level('info')"]


def test_levels_that_are_meant_so_are_not_told() -> None:
    def overlay(logger: Logger) -> None:
        logger.add_sink(print, level="debug")
        with logger.at_level("error"):
            pass

    assert told_of(overlay) == []
    assert told_of(overlay, level="debug") == []
    assert told_of(lambda logger: logger.add_sink(print, level="info,shop=debug"), level="error") == []
    assert told_of(lambda logger: logger.add_sink(print, level="debug"), level="info,shop=debug") == []
    assert told_of(lambda logger: logger.add_sink(print, level=0), level="info") == []
    assert told_of(lambda logger: logger.add_sink(print, level="debug"), level="off") == []
