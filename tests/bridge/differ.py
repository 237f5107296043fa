"""One random program of `logging`: `python -m tests.bridge.differ SEED plain|install STEPS FOLDER`.

The same seed makes the same program, whichever the mode. What every handler wrote, and stderr, goes into files of
FOLDER, which the caller compares. Prints (fast, rendered, original) as JSON.
"""

from __future__ import annotations

import io
import json
import logging
import logging.config
import logging.handlers
import random
import re
import sys
from pathlib import Path
from typing import Any

__all__ = ["Program"]

NAMES = ["a", "a.b", "a.b.c", "d", "d.e", ""]
LEVELS = ["debug", "info", "warning", "error", "critical"]
FORMATS = [
    ("%(levelname)s %(name)s: %(message)s", "%"),
    ("%(message)s", "%"),
    ("%(name)s %(levelname)s %(funcName)s:%(lineno)d %(message)s", "%"),
    ("{levelname} {message}", "{"),
    ("%(levelname)-8s|%(message)s", "%"),
    ("${levelname} ${name} $message", "$"),
    ("{levelno:>5} {module:<12}|{filename}|{message:>20}", "{"),
    ("%(levelno)05d %(module).4s %(threadName)s %(processName)s %(message)s", "%"),
    ("%(user)s %(message)s", "%"),
    ("%(message)s %(pathname)s", "%"),
    (None, "%"),
]
PLAIN = 5
"""So many of the formats are simple; most handlers have one of these at first."""


class Obj:
    def __str__(self) -> str:
        return "obj"

    def __mod__(self, other: object) -> str:
        return "modded"


class Bad:
    def __str__(self) -> str:
        raise ValueError("bad")


class MyStr(str):
    __slots__ = ()


class Logs:
    """Logs when its text is made first. (`logging` makes it once for each handler, a rendered call once for all.)"""

    def __init__(self) -> None:
        self.has_logged = False

    def __str__(self) -> str:
        if not self.has_logged:
            self.has_logged = True
            logging.getLogger("d").warning("nested %d", 1)
        return "logs"


MESSAGES: list[tuple[Any, tuple[Any, ...]]] = [
    ("plain", ()),
    ("100% plain", ()),
    ("x %s", (1,)),
    ("x %s y %d z %.2f", ("text", 7, 2.5)),
    ("%s %s", ("é", None)),
    ("%d|%5d|%-5d|%05d", (1, 2, -3, -4)),
    ("%.2f %g %e", (1.5, 2.5, 1e10)),
    ("%x %o %X %#x", (255, 8, 255, 16)),
    ("%s", (True,)),
    ("%d", (True,)),
    ("%d", (2.7,)),
    ("%r %a", ("q'é", "é")),
    ("%5s|%-5s|%.2s", ("ab", "cd", "efg")),
    ("%(k)s", ({"k": 5},)),
    ("%s", ({},)),
    ("%s", ([1, 2],)),
    ("%s %s", (1,)),
    ("%s", (1, 2)),
    ("%s", (Obj(),)),
    (Obj(), ()),
    (Obj(), (1,)),
    (MyStr("m %s"), (1,)),
    ("%s", (10**30,)),
    ("%d", (10**30,)),
    ("%%", (1,)),
    ("100%% %s", (1,)),
    ("bad %", (1,)),
    ("%c", (65,)),
    ("%*d", (5, 3)),
    ("%s", (b"by",)),
    ("nl\nin %s", ("a\nb",)),
    ("ends\n", ()),
    ("", ()),
    ("%s", (float("inf"),)),
    ("%05.1f", (float("-inf"),)),
    ("%+d % d", (5, 6)),
    ("%i %u", (5, 6)),
    ("%s", ("\udc80",)),
    ("\udc80 %s", (1,)),
    ("日本 %s", ("\U0001f600",)),
    ("\x1b[31m%s", ("\x00",)),
    (5, ()),
    (None, ()),
    ("%s", (Bad(),)),
    ("%s", (Logs(),)),
    ("%.3d", (5,)),
    ("%s", (("t",),)),
    ("%s", ((),)),
]
LIKELY = 8
"""So many of the messages are of the usual kind."""
METHODS = ("callHandlers", "makeRecord", "_log", "handle", "isEnabledFor", "findCaller")


def is_even(record: logging.LogRecord) -> bool:
    return len(str(record.msg)) % 2 == 0


class Program:
    """The program's loggers, its handlers, and its dice."""

    def __init__(self, seed: int, folder: Path, mode: str) -> None:
        self.dice = random.Random(seed)
        self.folder = folder
        self.loggers = {name: logging.getLogger(name) for name in NAMES}
        self.olds = {name: logging.Logger.__dict__[name] for name in METHODS}
        self.factory = logging.getLogRecordFactory()
        self.streams = [io.StringIO(), io.StringIO()]
        self.handlers: list[logging.Handler] = []
        for number in range(3):
            how = self.dice.choice(
                [{}, {"encoding": "utf-8"}, {"encoding": "ascii"}, {"encoding": "utf-8", "mode": "w"}]
            )
            how["errors"] = self.dice.choice([None, None, "backslashreplace", "replace"])
            handler: Any = logging.FileHandler(folder / f"f{number}.log", **how)
            self.handlers.append(self.formatted(handler, PLAIN))
        for number in range(2):
            most = self.dice.choice([300, 1000, 5000])
            handler = logging.handlers.RotatingFileHandler(
                folder / f"r{number}.log", maxBytes=most, backupCount=self.dice.choice([0, 1, 50]), encoding="utf-8"
            )
            self.handlers.append(self.formatted(handler, PLAIN))
        handler = logging.handlers.WatchedFileHandler(folder / "w.log", encoding="utf-8")
        self.handlers.append(self.formatted(handler, PLAIN))
        self.usual = list(self.handlers)
        self.bridge = self.std_handler()
        self.handlers.append(self.bridge)
        for stream in self.streams:
            self.handlers.append(self.formatted(logging.StreamHandler(stream), PLAIN))
        self.handlers.append(logging.NullHandler())
        self.mode = mode

    def std_handler(self) -> logging.Handler:
        """A StdlibHandler, whose logly logger shows what is equal with and without `install`."""
        from logly import Logger, LoggerConfig, SinkConfig, StdlibHandler

        self.logly = Logger(LoggerConfig(auto_sink=False, level=0))
        layout = "{level} {module} {function}:{lineno} {message} {fields}\n{exception}"
        self.logly.add_sink(SinkConfig(path=self.folder / "logly.log", format=layout))
        return StdlibHandler(self.logly)

    def formatted(self, handler: logging.Handler, most: int) -> logging.Handler:
        handler.setFormatter(self.formatter(self.dice.randrange(most)))
        return handler

    def formatter(self, number: int) -> logging.Formatter:
        template, style = FORMATS[number]
        return logging.Formatter(template, style=style)  # type: ignore[arg-type]

    # ---- calls

    def log_some(self, count: int) -> None:
        for _ in range(count):
            try:
                self.log_one()
            except (KeyError, TypeError) as error:
                print(type(error).__name__, error, file=sys.stderr)

    def log_one(self) -> None:  # noqa: C901, PLR0912  # a list of forms
        dice = self.dice
        log = self.loggers[dice.choice(NAMES)]
        level = dice.choice(LEVELS)
        message, args = dice.choice(MESSAGES[:LIKELY] if dice.random() < 0.5 else MESSAGES)
        if args and isinstance(args[0], Logs):
            args = (Logs(),)
        which = dice.random()
        if which < 0.72:
            getattr(log, level)(message, *args)
        elif which < 0.77:
            log.log(dice.choice([5, 20, 25, 40]), message, *args)
        elif which < 0.80:
            try:
                self.fail(3)
            except ZeroDivisionError:
                log.exception(message, *args)
        elif which < 0.82:
            error = ValueError("given", 5)
            log.error(message, *args, exc_info=dice.choice([True, False, error, (ValueError, error, None), 0, 1]))
        elif which < 0.84:
            log.info(message, *args, stacklevel=2)
        elif which < 0.88:
            extra = dice.choice([{"q": 1}, {"user": "u"}, {"user": None}, {}, {"name": 1}, {"user": "日"}])
            log.error(message, *args, extra=extra)
        elif which < 0.90:
            logging.LoggerAdapter(log, {"user": 1}).warning(message, *args)
        elif which < 0.92:
            log.info(msg=message)
        elif which < 0.94:
            made = {"name": "made", "levelno": 30, "levelname": "WARNING", "msg": "made"}
            log.handle(logging.makeLogRecord(made))
        elif which < 0.95:
            print(log.isEnabledFor(dice.choice([5, 10, 20, 25, 50])), file=sys.stderr)
        elif which < 0.96:
            log.info(message, *args, unknown=1)  # type: ignore[call-arg]
        else:
            getattr(logging, level)(message, *args)

    def fail(self, depth: int) -> float:
        return self.fail(depth - 1) if depth else 1 / 0

    # ---- changes

    def change(self) -> None:
        dice = self.dice
        log = self.loggers[dice.choice(NAMES)]
        handler = dice.choice(self.usual * 2 + self.handlers + [self.bridge] * 3)
        changes: list[Any] = [
            lambda: log.setLevel(dice.choice([0, 10, 20, 30, 40])),
            lambda: setattr(log, "propagate", dice.random() < 0.7),
            lambda: setattr(log, "disabled", dice.random() < 0.3),
            lambda: log.addFilter(is_even) if dice.random() < 0.2 else None,
            lambda: log.removeFilter(is_even),
            lambda: log.addHandler(handler),
            lambda: log.removeHandler(handler),
            log.handlers.clear,
            lambda: setattr(log, "handlers", []),
            lambda: log.handlers.append(handler) if handler not in log.handlers else None,
            lambda: logging.disable(dice.choice([0, 0, 10, 20, 30])),
            lambda: setattr(
                logging.Logger, "callHandlers", dice.choice([self.patched(), *6 * [self.olds["callHandlers"]]])
            ),
            lambda: logging.setLogRecordFactory(dice.choice([self.make_record, *6 * [self.factory]])),
            lambda: handler.setLevel(dice.choice([0, 20, 30])),
            lambda: handler.setFormatter(self.formatter(dice.randrange(len(FORMATS)))),
            lambda: setattr(handler, "formatter", dice.choice([None, self.formatter(1)])),
            lambda: handler.addFilter(is_even) if dice.random() < 0.2 else None,
            lambda: handler.removeFilter(is_even),
            lambda: setattr(log, "level", dice.choice([0, 20])),
            lambda: vars(log).__setitem__("disabled", dice.random() < 0.3),
            lambda: self.own_log(log),
            lambda: setattr(log, "__dict__", dict(vars(log))),
            lambda: log.handlers.__setitem__(slice(None), [handler]),
            lambda: setattr(log, "handlers", [handler]),
            lambda: logging.addLevelName(dice.choice([20, 25]), dice.choice(["INFO", "NOTICE"])),
            lambda: setattr(logging, "lastResort", dice.choice([None, logging._defaultLastResort])),  # type: ignore[attr-defined]
            lambda: self.configure(dice.random() < 0.2),
            handler.flush,
            lambda: self.roll(handler),
            lambda: setattr(handler, "terminator", dice.choice(["\n", "\n", "|\n"])),
            lambda: self.rename(),
        ]
        dice.choice(changes)()

    def patched(self) -> Any:
        before = self.olds["callHandlers"]

        def call_handlers(log: logging.Logger, record: logging.LogRecord) -> None:
            record.msg = f"P:{record.msg}"
            before(log, record)

        return call_handlers

    def make_record(self, *args: Any, **options: Any) -> logging.LogRecord:
        record = self.factory(*args, **options)
        record.levelname = "F" + record.levelname
        return record

    def own_log(self, log: logging.Logger) -> None:
        if "_log" in vars(log):
            del log._log
        elif self.dice.random() < 0.2:
            log._log = lambda level, message, args, **options: self.streams[0].write(f"OWN {level} {message}\n")  # type: ignore[method-assign]

    def configure(self, disable: bool) -> None:
        """A dictConfig that names two of the handlers. (It closes all others: open files are opened again.)"""
        one, other = self.dice.sample(range(len(self.handlers)), 2)
        names = {"one": self.handlers[one], "other": self.handlers[other]}
        logging.config.dictConfig(
            {
                "version": 1,
                "disable_existing_loggers": disable,
                "handlers": {name: {"()": lambda kept=kept: kept} for name, kept in names.items()},
                "loggers": {"a": {"handlers": ["one"], "level": "DEBUG"}},
                "root": {"handlers": ["one", "other"], "level": "INFO"},
            }
        )

    def roll(self, handler: logging.Handler) -> None:
        if isinstance(handler, logging.handlers.RotatingFileHandler):
            handler.doRollover()

    def rename(self) -> None:
        for handler in self.handlers:
            handler.flush()  # what is logged is in its file now, as `logging` writes it
        path = self.folder / "w.log"
        if path.exists():
            path.replace(self.folder / f"w{self.dice.randrange(1000)}.log")

    # ---- the whole

    def run(self, steps: int) -> None:
        root, a = self.loggers[""], self.loggers["a"]
        root.addHandler(self.handlers[0])
        root.setLevel(10)
        a.addHandler(self.handlers[1])
        a.propagate = False
        self.loggers["d"].addHandler(self.bridge)
        self.loggers["d"].propagate = False
        for _ in range(steps):
            self.log_some(self.dice.randrange(1, 120))
            self.change()
        for handler in self.handlers:
            handler.close()
        self.logly.close()


def without_places(text: str) -> str:
    """Without addresses and the frames of stacks: a nested call that is rendered has fewer of `logging`'s above it."""
    return re.sub(r"0x[0-9a-f]+", "0x", re.sub(r"(?m)^  .*$\n", "", text))


def main() -> None:
    seed, mode, steps, folder = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])
    if mode == "install":
        from logly.bridge.install import install

        install()
    program = Program(seed, folder, mode)
    stderr, sys.stderr = sys.stderr, io.StringIO()
    said = sys.stderr
    try:
        program.run(steps)
    finally:
        sys.stderr = stderr
    for number, stream in enumerate(program.streams):
        (folder / f"s{number}").write_text(stream.getvalue(), "utf-8", "backslashreplace")
    (folder / "stderr").write_text(without_places(said.getvalue()), "utf-8", "backslashreplace")
    counts = [0, 0, 0]
    if mode == "install":
        from logly.bridge.install import routes

        for one in routes():
            for place, count in enumerate((one.fast, one.rendered, one.original)):
                counts[place] += count
    print(json.dumps(counts))


if __name__ == "__main__":
    main()
