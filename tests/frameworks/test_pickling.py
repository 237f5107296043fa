"""Loggers on their way to other processes."""

from __future__ import annotations

import contextvars
import gc
import io
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import logly
from logly import Logger, LoggerConfig, SinkConfig, _pickled, capture
from logly.control.controller import Controller
from tests.frameworks import pool_work
from tests.support import ROOT
from tests.support.log_files import lines_of
from tests.support.loggers import file_logger, make_logger
from tests.support.programs import run_program
from tests.support.waiting import wait_until

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")

METHODS = multiprocessing.get_all_start_methods()


def sent(logger: Logger) -> Any:
    return pickle.loads(pickle.dumps(logger))


def pool(method: str, workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, multiprocessing.get_context(method))


# ---- in one process


def test_a_logger_comes_back_as_itself(tmp_path: Path) -> None:
    with file_logger(tmp_path / "log", layout="{name} {message} {fields}") as logger:
        child = logger.named("shop").bind(a=1, b=["x", {"y": 2}], c=10**30, d="é\ud800", e=b"\xff", f=1.5, g=None)
        same = sent(child)
        assert same is not child
        assert same._controller is logger._controller
        assert same.name == "shop"
        assert sent(logger).list_sinks() == logger.list_sinks()
        with capture(logger) as records:
            child.info("1")
            same.info("1")
        assert records[0].fields == records[1].fields
        assert sent(logger).name == "root"


def test_children_of_the_ready_made_logger_travel_by_name() -> None:
    log = logly.get_logger("shop.db").bind(a=1)
    same = sent(log)
    assert same._controller is logly.logger._controller
    assert same.name == "shop.db"
    assert sent(logly.logger)._controller is logly.logger._controller
    with capture(log) as records:
        same.info("here")
    assert records == [("INFO", "here", {"a": 1})]


def test_a_light_logger_stays_here() -> None:
    with make_logger() as logger, pytest.raises(TypeError, match="a LightLogger cannot be pickled"):
        pickle.dumps(logger.first(3))


# ---- in another one


def in_new_process(*parcels: bytes) -> tuple[int, list[str], int]:
    command = [sys.executable, "-m", "tests.frameworks.pool_work"]
    done = subprocess.run(
        command, input=pickle.dumps(parcels), stdout=subprocess.PIPE, cwd=ROOT, timeout=60, check=True
    )
    result: tuple[int, list[str], int] = pickle.loads(done.stdout)
    return result


def test_one_engine_for_each_original_in_any_order(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with file_logger(path) as logger, file_logger(tmp_path / "other") as other:
        loggers = [logger.named("a").bind(x=1), other, logger, logger.named("b"), logger]
        assert in_new_process(*map(pickle.dumps, loggers)) == (2, ["a", "root", "root", "b", "root"], 3)
    assert lines_of(path) == ["from a", "from root", "from b", "from root"]
    assert lines_of(tmp_path / "other") == ["from root"]


def await_end(controller: Controller) -> None:
    wait_until(lambda: controller.has_ended)


def test_an_engine_stays_for_the_next_copy(tmp_path: Path) -> None:
    parcel = parcel_of(file_logger(tmp_path / "log", async_flush_interval=60_000))
    copy = pickle.loads(parcel).named("shop")
    first = copy._controller
    copy.info("1")
    assert pickle.loads(parcel)._controller is first
    del copy
    assert lines_of(tmp_path / "log") == ["1"]  # nothing waits for a next job
    copy = pickle.loads(parcel)
    assert copy._controller is first
    copy.info("2")
    del copy
    assert lines_of(tmp_path / "log") == ["1", "2"]
    for i in range(_pickled.MOST_KEPT):
        assert not first.is_closed
        pickle.loads(parcel_of(file_logger(tmp_path / f"other {i}"))).info("other")
    await_end(first)
    assert len(_pickled._kept) == _pickled.MOST_KEPT
    for i in range(_pickled.MOST_KEPT):
        assert lines_of(tmp_path / f"other {i}") == ["other"]
    del first
    pickle.loads(parcel).info("3")
    assert lines_of(tmp_path / "log") == ["1", "2", "3"]


def test_an_engine_that_a_job_has_closed_does_not_stay(tmp_path: Path) -> None:
    parcel = parcel_of(file_logger(tmp_path / "log"))
    for text in "123":
        with pickle.loads(parcel) as copy:
            copy.info(text)
        del copy
        assert lines_of(tmp_path / "log") == list("123"[: int(text)])


def test_an_engine_with_copies_outlives_those_that_are_kept(tmp_path: Path) -> None:
    parcel = parcel_of(file_logger(tmp_path / "log"))
    copy = pickle.loads(parcel)
    for i in range(2 * _pickled.MOST_KEPT):
        pickle.loads(parcel_of(file_logger(tmp_path / f"other {i}")))
    assert not copy._controller.is_closed
    assert pickle.loads(parcel)._controller is copy._controller
    first = copy._controller
    copy.info("1")
    del copy
    gc.collect()
    await_end(first)
    assert lines_of(tmp_path / "log") == ["1"]


def test_a_copy_that_comes_while_the_last_one_ends_gets_an_engine_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parcel = parcel_of(file_logger(tmp_path / "log"))
    copy = pickle.loads(parcel)
    copy.info("1")
    _pickled._kept.clear()
    arrived: list[Any] = []
    real = Controller.close

    def close(self: Controller, *arguments: Any, **options: Any) -> bool:
        monkeypatch.undo()
        thread = threading.Thread(target=lambda: arrived.append(pickle.loads(parcel)))
        thread.start()
        thread.join()
        return real(self, *arguments, **options)

    monkeypatch.setattr(Controller, "close", close)
    first = copy._controller
    del copy
    gc.collect()
    (second,) = arrived
    assert second._controller is not first
    assert not second._controller.is_closed
    second.info("2")
    second.close()
    assert Counter(lines_of(tmp_path / "log")) == Counter(["1", "2"])


def parcel_of(logger: Logger) -> bytes:
    """The logger on its way; it ends here. The caller must not have it any more."""
    parcel = pickle.dumps(logger)
    logger.close()
    return parcel


def test_what_cannot_be_opened_is_tried_again_as_a_whole(tmp_path: Path) -> None:
    logger = file_logger(tmp_path / "one.log")
    logger.add_sink(SinkConfig(path=tmp_path / "sub" / "two.log", format="{message}"))
    parcel = parcel_of(logger)
    del logger
    (tmp_path / "sub" / "two.log").unlink()
    (tmp_path / "sub").rmdir()
    (tmp_path / "sub").touch()
    kept = []
    for _ in range(2):
        with pytest.raises(logly.SinkError) as caught:
            pickle.loads(parcel)
        kept.append(caught.value)  # and with its traceback what was half made
    (tmp_path / "sub").unlink()
    with pickle.loads(parcel) as copy:
        assert len(copy.list_sinks()) == 2
        copy.info("whole")
    assert lines_of(tmp_path / "one.log") == ["whole"]
    assert lines_of(tmp_path / "sub" / "two.log") == ["whole"]
    assert len(kept) == 2


HALF_READY_MADE = """
import pickle, shutil, sys
from pathlib import Path
import logly
from logly import SinkConfig

folder = Path(sys.argv[1])
if len(sys.argv) == 2:
    logly.logger.configure(level="debug")
    for name in ("r1.log", "sub/r2.log"):
        logly.logger.add_sink(SinkConfig(path=folder / name, format="{message}"))
    (folder / "parcel").write_bytes(pickle.dumps(logly.logger))
    logly.logger.close()
    shutil.rmtree(folder / "sub")
    (folder / "sub").touch()
else:
    parcel = (folder / "parcel").read_bytes()
    try:
        pickle.loads(parcel)
    except logly.SinkError as error:
        kept = error
    assert logly.logger.config.level is None, logly.logger.config
    (folder / "sub").unlink()
    assert len(pickle.loads(parcel).list_sinks()) == 2, logly.logger.list_sinks()
    assert kept and not pickle.loads(parcel).is_enabled_for("trace")
    pickle.loads(parcel).debug("whole")
"""


def test_a_ready_made_logger_that_was_half_set_up_is_tried_again(tmp_path: Path) -> None:
    run_program(HALF_READY_MADE, tmp_path)
    run_program(HALF_READY_MADE, tmp_path, "second")
    assert lines_of(tmp_path / "r1.log") == ["whole"]
    assert lines_of(tmp_path / "sub" / "r2.log") == ["whole"]


def test_a_disabled_logger_arrives_disabled(tmp_path: Path) -> None:
    logger = file_logger(tmp_path / "log")
    logger.disable()
    parcel = parcel_of(logger)
    del logger
    with pickle.loads(parcel) as copy:
        copy.info("not written")
        copy.enable()
        copy.info("written")
    assert lines_of(tmp_path / "log") == ["written"]


def test_the_colour_of_a_level_arrives(tmp_path: Path) -> None:
    logger = file_logger(tmp_path / "log", sink={"color": "line"})
    logger.add_level("AUDIT", 33, "red")
    logger.log("audit", "1")
    parcel = parcel_of(logger)
    del logger
    with pickle.loads(parcel) as copy:
        copy.log("audit", "1")
    first, second = lines_of(tmp_path / "log")
    assert first == second
    assert "\x1b[31m" in first


SETTINGS: dict[str, Any] = {
    "rotation": "12:30",
    "size_limit": "10 MB",
    "retention": "30 days",
    "compression": "gzip",
    "level": "info,shop=debug",
    "filter_max_level": "error",
    "filter_module": ["tests", "shop"],
    "json_keys": {"level": "severity"},
    "json": True,
    "json_static": {"service": "x"},
    "color": "line",
    "dedup": 2.0,
    "mode": 0o600,
    "filter": pool_work.keeps,
    "buffer_size": "1 KiB",
    "flush_interval": 5,
    "watch": True,
}


LOGGER_SETTINGS: dict[str, Any] = {
    "auto_sink": False,
    "custom_levels": {"NOTICE": 22},
    "redact": ["pass*"],
    "timezone": "utc",
    "level": "notice",
    "level_colors": {22: "blue"},
    "async_buffer_size": 1 << 15,
    "async_flush_interval": 7,
    "overflow": "drop",
    "stall_timeout": 3,
    "max_message_bytes": 5000,
    "sampling": (100, 10),
    "on_error": pool_work.tell,
    "time_source": pool_work.now,
    "context_from": pool_work.context,
    "flush_level": "error",
}


@pytest.mark.parametrize("rotation", ["daily", "6 hours", timedelta(hours=3), "23:59"])
@pytest.mark.parametrize("retention", [5, "2 weeks", timedelta(days=1)])
def test_all_settings_arrive(tmp_path: Path, rotation: Any, retention: Any) -> None:
    settings = {**SETTINGS, "rotation": rotation, "retention": retention}
    config = LoggerConfig(**LOGGER_SETTINGS)
    given = {field: getattr(config, field) for field in LoggerConfig.__dataclass_fields__}  # type: ignore[attr-defined]
    logger = Logger(config, name="service")
    logger.add_level("AUDIT", 33, "red")
    number = logger.add_sink(SinkConfig(path=tmp_path / "log", **settings))
    second = logger.add_sink(SinkConfig(stream="stdout"))
    logger.set_sink_level(second, "debug,a=off")
    logger.disable_sink(second)
    parcel = pickle.dumps(logger)
    wanted = logger._controller.sinks[number].config
    logger.close()
    del logger
    copy = pickle.loads(parcel)
    try:
        sinks = copy._controller.sinks
        first, other = (sinks[one] for one in copy.list_sinks())
        for field in SinkConfig.__dataclass_fields__:  # type: ignore[attr-defined]
            assert getattr(first.config, field) == getattr(wanted, field), field
        assert (first.is_enabled, other.is_enabled) == (True, False)
        assert repr(other.levels) == "LevelSpec(10, {'a': 2147483647})"
        assert copy.name == "service"
        assert copy.config.custom_levels == {"NOTICE": 22, "AUDIT": 33}
        for field, value in given.items():
            if field not in ("custom_levels", "spool", "level_file"):
                assert getattr(copy.config, field) == value, field
    finally:
        copy.close()


def test_relative_paths_are_those_of_the_folder_where_they_were_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("{a}", "b", "c"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "{a}")
    logger = Logger(LoggerConfig(auto_sink=False, level_file="levels", spool="spool"))
    logger.add_sink(SinkConfig(path="x.log", format="{message}"))
    monkeypatch.chdir(tmp_path / "b")
    parcel = parcel_of(logger)
    del logger
    monkeypatch.chdir(tmp_path / "c")
    with pickle.loads(parcel) as copy:
        copy.info("here")
        assert copy._controller.layers.file.path == str(tmp_path / "{a}" / "levels")
        assert copy._controller.spooling.path == str(tmp_path / "{a}" / "spool")
    assert lines_of(tmp_path / "{a}" / "x.log") == ["here"]
    assert not list((tmp_path / "b").iterdir())
    assert not list((tmp_path / "c").iterdir())


VARIABLE: contextvars.ContextVar[Any] = contextvars.ContextVar("VARIABLE")


@pytest.mark.parametrize(
    ("logger", "sink", "named"),
    [
        ({}, {"function": lambda _: None}, "SinkConfig.function = <function <lambda>"),
        ({}, {"function": [].append}, "SinkConfig.function = <built-in method append"),
        ({}, {"stream": io.StringIO()}, "SinkConfig.stream = <_io.StringIO"),
        ({}, {"fd": 1}, "SinkConfig.fd = 1"),
        ({}, {"path": "x.log", "filter": lambda _: True}, "SinkConfig.filter = <function"),
        ({"on_error": lambda _: None}, {}, "LoggerConfig.on_error = <function"),
        ({"context_from": VARIABLE}, {}, "LoggerConfig.context_from = <ContextVar"),
        ({"encode": {complex: lambda x: x}}, {}, "LoggerConfig.encode = "),
    ],
)
def test_what_cannot_travel_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logger: dict[str, Any], sink: dict[str, Any], named: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with Logger(LoggerConfig(auto_sink=False, **logger)) as made:
        made.add_sink(SinkConfig(**sink))
        with pytest.raises(pickle.PicklingError, match="a Logger cannot be pickled: ") as caught:
            pickle.dumps(made)
    assert named in str(caught.value)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("workers", "records", "size_limit"),
    [(4, 4_000, "8 KB"), pytest.param(8, 100_000, "100 KB", marks=pytest.mark.nightly)],
)
def test_a_pool_writes_each_line_once_into_a_rotating_file(
    tmp_path: Path, method: str, workers: int, records: int, size_limit: str
) -> None:
    path = tmp_path / "log"
    logger = file_logger(path, sink={"size_limit": size_limit}, async_flush_interval=10)
    each = records // 40
    with pool(method, workers) as executor:
        jobs = [executor.submit(pool_work.write, logger, each * job, each) for job in range(40)]
        assert os.getpid() not in {job.result(200) for job in jobs}
    logger.info("line {}", records)
    logger.close()
    files = [one for one in tmp_path.iterdir() if not one.name.startswith(".")]
    assert len(files) > 2
    lines = Counter(line for one in files for line in lines_of(one))
    assert lines == Counter(f"line {i}" for i in range(records + 1))


@pytest.mark.skipif("fork" not in METHODS, reason="this system does not fork")
def test_a_forked_child_finds_what_it_has_inherited(tmp_path: Path) -> None:
    logger = file_logger(tmp_path / "log")
    pool_work.inherited.append(logger)
    try:
        with pool("fork", 1) as workers:
            assert workers.submit(pool_work.is_the_inherited, logger.bind(a=1)).result(60)
    finally:
        pool_work.inherited.clear()
        logger.close()


def test_the_ready_made_logger_brings_its_sinks_to_a_process_that_has_not_set_it_up(tmp_path: Path) -> None:
    program = (
        "import logly, multiprocessing, sys\n"
        "from tests.frameworks import pool_work\n"
        "if __name__ == '__main__':\n"
        "    logly.logger.add_sink(logly.SinkConfig(path=sys.argv[1], format='{name} {message}'))\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        "        print(pool.apply(pool_work.name_and_line, ('', logly.get_logger('shop'))))\n"
    )
    (tmp_path / "program.py").write_text(program)
    done = subprocess.run(
        [sys.executable, tmp_path / "program.py", tmp_path / "log"],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PYTHONPATH": str(ROOT)},
        check=True,
    )
    assert (done.stdout, done.stderr) == ("shop\n", "")
    assert lines_of(tmp_path / "log") == ["shop in the child"]


def test_cloudpickle(tmp_path: Path) -> None:
    cloudpickle = pytest.importorskip("cloudpickle")
    with file_logger(tmp_path / "log") as logger:
        job = cloudpickle.loads(cloudpickle.dumps(lambda: logger.info("by value")))
        job()
    assert lines_of(tmp_path / "log") == ["by value"]


def test_joblib(tmp_path: Path) -> None:
    joblib = pytest.importorskip("joblib")
    path = tmp_path / "log"
    with file_logger(path) as logger:
        jobs = [joblib.delayed(pool_work.write)(logger, 10 * job, 10) for job in range(6)]
        joblib.Parallel(n_jobs=2)(jobs)
        # Its workers stay, and with them what they have not been told to write.
        from joblib.externals.loky import get_reusable_executor

        get_reusable_executor().shutdown(wait=True)
    assert Counter(lines_of(path)) == Counter(f"line {i}" for i in range(60))
