"""`Logger`, the class that users work with. Its log methods are compiled (`caller/calls.pxi`); the rest is here."""

from __future__ import annotations

import sys

from ._controls import Controls
from ._core import (
    FieldBlock,
    LevelName,
    Lifeline,
    bound_fields,
    clear_context,
    install_limits,
    install_methods,
    name_below,
    set_context,
)
from ._hinted import Elsewhere, install_hints
from ._light import LightLogger  # noqa: TC001  # `once` and its sisters return objects of it
from .config.checks import function as checked_function
from .control.controller import Controller
from .errors import invalid
from .levels import level_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Hashable, Mapping
    from os import PathLike
    from typing import Any, Self, TypeVar, overload

    from .caller.exception_hooks import ExceptionHooks
    from .caller.guards import Catcher, Contextualized
    from .config.schema import LoggerConfig, SinkConfig
    from .levels import Level

    Function = TypeVar("Function", bound=Callable[..., Any])

__all__ = ["Logger"]

_ASKED = (Elsewhere, LevelName)
"""Attributes of the class that some loggers have, or none."""


class Logger(Controls):
    """An asynchronous logger: a call copies its arguments into a ring, a background thread writes the lines.

    Args:
        config: settings; None: the defaults. It is copied: change it later through `configure`.
        name: shown by ``{name}`` in layouts, and as ``logger`` in JSON and logfmt. "root" counts as no name.
        settings: settings by name, as in `LoggerConfig`. They go before what `config` says.

    Raises:
        ConfigError: a setting is wrong.

    A context manager: leaving it closes the logger. Loggers are independent of each other; what `bind` and `named`
    return shares everything with the logger it came from: the thread, the ring and the sinks.

    Examples:
        >>> with Logger(level="debug") as logger:
        ...     sink = logger.add_sink("logs/app.log", rotation="daily")
        ...     logger.info("order {} filled at {:.2f}", 42, 3.14159)
    """

    __slots__ = ()

    def __init__(self, config: LoggerConfig | None = None, *, name: str = "root", **settings: Any) -> None:
        from .caller import emergency  # noqa: F401  # not at the top: importing logly would take twice as long
        from .config.changes import logger_settings

        controller = Controller(name, logger_settings(config, name, settings))
        self._attach(controller.core, None, Lifeline(controller), controller, controller.core.own_name)

    def __repr__(self) -> str:
        return f"<Logger {self.name!r}, {len(self._controller.user_sinks())} sinks>"

    # A logger stands for a thing that exists once, like a file. So a copy of an object that has a logger shares it.
    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __dir__(self) -> list[str]:
        own = vars(Logger)
        return [name for name in super().__dir__() if type(own.get(name)) not in _ASKED or hasattr(self, name)]

    def __reduce__(self) -> tuple[Any, ...]:
        """A logger can be sent to another process, see docs/processes.md.

        Raises:
            pickle.PicklingError: a setting cannot travel, such as a function that is no module's. The message names it.
        """
        from ._pickled import travelling

        return travelling(self)

    if not TYPE_CHECKING:  # type checkers would take any attribute for right

        def __setattr__(self, name, value):
            # For tests that replace a method of one logger, as `mock.patch.object(logger, "warning")` does.
            try:
                super().__setattr__(name, value)
            except AttributeError:
                from .caller.replaced import replace

                if not replace(self, name, value):
                    raise

        def __delattr__(self, name):
            try:
                super().__delattr__(name)
            except AttributeError:
                from .caller.replaced import put_back

                if not put_back(self, name):
                    raise

    if TYPE_CHECKING:
        # The log methods are compiled, and `install_methods` below adds them. These are for type checkers.

        def trace(self, message: object, /, *args: Any, **fields: Any) -> None:
            """Log a message at TRACE (5); see `info`."""

        def debug(self, message: object, /, *args: Any, **fields: Any) -> None:
            """Log a message at DEBUG (10); see `info`."""

        def info(self, message: object, /, *args: Any, **fields: Any) -> None:
            """Log a message at INFO (20).

            Raises nothing because of a sink's trouble, and because of its arguments only a RecursionError.

            Args:
                message: any object. With `args` a template of `str.format`'s; alone it is written as it is.
                args: values for the placeholders, formatted byte for byte as by `str.format`. A width or a precision
                    above 10,000 cannot be formatted.
                fields: structured fields. They also fill ``{name}``, ``{name!r}`` and ``{name:spec}``; without `args`
                    only if every placeholder is such a name; otherwise the message is written as it is. Three names
                    are not fields: ``exc_info`` (True, or an exception) adds a traceback, ``stack_info`` (True) the
                    stack of the call, and ``stacklevel`` (2: the caller's caller) moves the call site up.
            """

        def success(self, message: object, /, *args: Any, **fields: Any) -> None:
            """Log a message at SUCCESS (25); see `info`."""

        def warning(self, message: object, /, *args: Any, **fields: Any) -> None:
            """Log a message at WARNING (30); see `info`."""

        def warn(self, message: object, /, *args: Any, **fields: Any) -> None:
            """Log a message at WARNING (30): `warning` by another name; see `info`."""

        def error(self, message: object, /, *args: Any, **fields: Any) -> None:
            """Log a message at ERROR (40); see `info`."""

        def fail(self, message: object, /, *args: Any, **fields: Any) -> None:
            """Log a message at FAIL (45); see `info`."""

        def critical(self, message: object, /, *args: Any, **fields: Any) -> None:
            """Log a message at CRITICAL (50); see `info`."""

        def exception(self, message: object, /, *args: Any, **fields: Any) -> None:
            """Log a message at ERROR (40), with the exception that is being handled; see `info`."""

        def log(self, level: Level | int | str, message: object, /, *args: Any, **fields: Any) -> None:
            """Log a message at a level given as `Level`, int, or name in any case; see `info` for the rest.

            Raises:
                ConfigError: there is no such level.
            """

        def is_enabled_for(self, level: Level | int | str) -> bool:
            """Whether a record of this level would be logged by the logger's name, or else by the calling module's.

            Raises:
                ConfigError: there is no such level.
            """
            ...

        # ---- limits: compiled, too, because they are called where the log call is

        def once(self, *, key: Hashable = None) -> LightLogger:
            """A light logger whose first call passes.

            Made in place, as in ``logger.once().info(...)``, it has the counter of that call site. Kept in a variable,
            it counts its own calls. The next record that passes has the field ``suppressed``: how many calls were held
            back since the one before.

            Args:
                key: counts apart for each key, by its equality; of the latest 1,024 keys at a call site. None: all
                    calls count together.

            Raises:
                TypeError: another argument, or a key that is not hashable.

            Examples:
                >>> logger.once().warning("the old format is deprecated")
            """
            ...

        def first(self, n: int, /, *, key: Hashable = None) -> LightLogger:
            """A light logger whose first `n` calls pass; see `once`.

            Raises:
                ConfigError: `n` is no whole number from 1 on.
                TypeError: another argument, or a key that is not hashable.

            Examples:
                >>> logger.first(10).debug("row {}", 42)
            """
            ...

        def every(self, n: int, /, *, key: Hashable = None) -> LightLogger:
            """A light logger of which each `n`-th call passes, beginning with the first; see `once`.

            Raises:
                ConfigError: `n` is no whole number from 1 on.
                TypeError: another argument, or a key that is not hashable.

            Examples:
                >>> every = logger.every(100)
                >>> for done in range(1000):
                ...     every.info("{} rows", done)
            """
            ...

        def limit(self, rate: str, /, *, key: Hashable = None) -> LightLogger:
            """A light logger that lets so many calls pass in a second, a minute or an hour; see `once`.

            Args:
                rate: a number and a unit: ``"5/s"``, ``"5/m"`` or ``"5/h"``. The second begins with the first call
                    after the one before was over; it does not go by the wall clock.
                key: as of `once`.

            Raises:
                ConfigError: `rate` cannot be read.
                TypeError: another argument, or a key that is not hashable.

            Examples:
                >>> logger.limit("5/s").error("retry {}", "db-1")
                >>> logger.limit("1/m", key="db-1").error("retry {}", "db-1")
            """
            ...

    @property
    def name(self) -> str:
        """The logger's name, in full; "root" where it has none."""
        name = self._name
        return name.text if name is not None else self._controller.name

    @property
    def config(self) -> LoggerConfig:
        """A copy of the settings in force. Its `custom_levels` include those of `add_level`.

        Changing the copy changes nothing until it is given to `configure`. A copy that is changed and never used warns.
        """
        try:
            from .config.taken import take

            return take(self._controller, sys._getframe(1))
        except (
            ImportError,
            OSError,
            MemoryError,
            ValueError,
        ):  # out of descriptors or memory, or called by C code alone
            return self._controller.settings()

    @classmethod
    def from_file(cls, path: str | PathLike[str], *, name: str = "root") -> Self:
        """A logger configured by a TOML file: table ``[logly]`` and an array of tables ``[[logly.sinks]]``.

        Raises:
            ConfigError: an unknown key, a wrong value, or a file that cannot be read. The message names the file, the
                key, the value and the nearest valid name.
            SinkError: a sink's file cannot be opened.
        """
        from .config.toml import load_file

        return cls._from_settings(*load_file(path), name)

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any], *, name: str = "root") -> Self:
        """Like `from_file`, from a mapping of the same shape.

        Raises:
            ConfigError: unknown key or wrong value.
            SinkError: a sink's file cannot be opened.
        """
        from .config.toml import load_dict

        return cls._from_settings(*load_dict(settings), name)

    @classmethod
    def _from_settings(cls, config: LoggerConfig, sinks: list[SinkConfig], name: str) -> Self:
        logger = cls(config, name=name)
        try:
            for sink in sinks:
                logger.add_sink(sink)
        except BaseException:
            logger.close()
            raise
        return logger

    # ---- fields

    def bind(self, /, **fields: Any) -> Self:
        """A logger with the same sinks that puts these fields on every record.

        Their values are encoded once, now. A field of the call wins over a bound field of the same name, and a bound
        field over the context's. Binding a name again replaces its value.
        """
        return self._with_fields(bound_fields(self, fields))

    def unbind(self, *names: str) -> Self:
        """A logger without these bound fields. Names that are not bound are ignored."""
        bound = self._bound
        return self._with_fields(bound.without(names) if bound is not None else None)

    def _with_fields(self, fields: FieldBlock | None, kind: type[Self] | None = None) -> Self:
        child = (kind or type(self)).__new__(kind or type(self))
        own = getattr(self, "__dict__", None) if kind is None else None
        if own:  # a subclass with attributes of its own
            child.__dict__.update(own)
        controller = self._controller
        child._attach(controller.core, fields, self._owner, controller, self._name)
        return child

    def named(self, name: str, /) -> Self:
        """A logger with this name below the logger's own: ``"db"`` of the logger ``"shop"`` is ``"shop.db"``.

        It shares the thread, the ring, the sinks and the bound fields, so a program may have thousands of them. A name
        is kept until the logger is closed and gone; the first 65,534 cost nothing per call. Characters after the
        4,096th are cut off.

        Raises:
            ConfigError: `name` is not a str.

        Examples:
            >>> log = logger.named("db")
        """
        if not isinstance(name, str):
            raise invalid("name", name, "a str")
        child = self._with_fields(self._bound)
        child._use_name(name_below(self._controller.core, self._name, str.__str__(name)))
        return child

    def contextualize(self, /, **fields: Any) -> Contextualized:
        """Fields for every record of the current context (thread, asyncio task) inside the ``with``.

        Nested contexts add up, and the inner one's fields win. This is also a decorator of functions, async functions
        and generators: a generator has the fields while it runs, and its consumer does not have them.

        A new thread does not have the fields of the thread that started it. A task has those of the code that created
        it.
        """
        from .caller.guards import Contextualized

        return Contextualized(self._controller.context_variable(), fields, self._controller.core)

    def set_context(self, /, **fields: Any) -> None:
        """Fields for every record of the rest of the current context (thread, asyncio task), as of a request.

        What is set later wins: over fields that were set before, and over those of a ``with`` of `contextualize` around
        the call. They stay when such a ``with`` is left. Fields of a ``with`` that is entered later win inside it.

        Examples:
            >>> logger.set_context(request_id="c0ffee")
        """
        set_context(self._controller.context_variable(), fields, self._controller.core)

    def clear_context(self) -> None:
        """Take all fields of the current context away: those of `set_context`, and those of `contextualize`.

        Inside a ``with`` of `contextualize` its fields are gone, too, and do not come back when it is left.
        """
        clear_context(self._controller.context_variable())

    if TYPE_CHECKING:

        @overload
        def catch(
            self,
            exception: type[BaseException] | tuple[type[BaseException], ...] = Exception,
            *,
            level: Level | int | str = "ERROR",
            reraise: bool = False,
            message: str = ...,
            default: Any = None,
            exclude: type[BaseException] | tuple[type[BaseException], ...] | None = None,
            onerror: Callable[[Any], object] | None = None,
        ) -> Catcher: ...
        @overload
        def catch(self, exception: Function) -> Function: ...

    def catch(
        self,
        exception: type[BaseException] | tuple[type[BaseException], ...] | Callable[..., Any] = Exception,
        *,
        level: Level | int | str = "ERROR",
        reraise: bool = False,
        message: str = "An error has been caught in function '{function}'",
        default: Any = None,
        exclude: type[BaseException] | tuple[type[BaseException], ...] | None = None,
        onerror: Callable[[Any], object] | None = None,
    ) -> Any:
        """Log exceptions: a context manager, and a decorator of functions, async functions and generators.

        Args:
            exception: what to catch.
            level: level of the record.
            reraise: raise it again after it was logged.
            message: text of the record; ``{function}`` is the decorated function's name, or that of the ``with``.
            default: what a decorated function returns instead.
            exclude: what is raised on without a record, though `exception` names it: a class, or a tuple of them.
            onerror: called with the exception after it was logged, also if its level is switched off. What it raises
                is raised in place of the exception, as by ``onerror=lambda _: sys.exit(1)``.

        The record's call site is the line that failed in the decorated function or in the ``with``. Exceptions that end
        programs and tasks (KeyboardInterrupt, SystemExit, asyncio's CancelledError) are caught only if `exception`
        names them.

        Raises:
            ConfigError: `exception` or `exclude` is not an exception class, `onerror` cannot be called, or there is no
                such level.

        Examples:
            >>> @logger.catch(default=0)
            ... def ratio(a, b):
            ...     return a / b
        """
        from .caller.guards import Catcher

        if callable(exception) and not isinstance(exception, type):
            return Catcher(self, Exception, level, reraise, message, default)(exception)
        expected = "an exception class, a tuple of them"
        kinds = _exception_classes("exception", exception, f"{expected}, or a function to decorate")
        excluded = () if exclude is None else _exception_classes("exclude", exclude, f"{expected}, or None")
        if onerror is not None:
            checked_function("onerror", onerror, {})
        level_number(level, self._controller.levels.custom)
        return Catcher(self, kinds, level, reraise, message, default, excluded, onerror)

    def hook_exceptions(self, *, warnings: bool = False, loop: AbstractEventLoop | None = None) -> ExceptionHooks:
        """Log the exceptions that nothing catches: in the program, in threads, in ``__del__``, in an event loop.

        The call site is the line that failed. The one that ends the program is CRITICAL, the others are ERROR. Hooks
        that were there before are called afterwards; Python's own only where no sink shows the record on stderr.
        KeyboardInterrupt and SystemExit are not logged.

        Args:
            warnings: also what `warnings.warn` shows, at WARNING and with the line that warned.
            loop: an event loop of asyncio whose failed callbacks and forgotten tasks are logged, too.

        Returns:
            A context manager that takes the hooks away again, as its ``remove()`` does. An exception that leaves the
            ``with`` is not logged, because the hooks are gone by then: a program's main needs no ``with``.

        Raises:
            ConfigError: `loop` is no event loop.

        Example:
            >>> hooks = logger.hook_exceptions(warnings=True)
            >>> hooks.remove()
        """
        from .caller.exception_hooks import ExceptionHooks

        return ExceptionHooks(self, warns=warnings, loop=loop)


def _exception_classes(name: str, given: Any, expected: str) -> tuple[type[BaseException], ...]:
    kinds = given if isinstance(given, tuple) else (given,)
    if not all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in kinds):
        raise invalid(name, given, expected)
    return kinds


install_hints(Logger)
install_methods(Logger)
install_limits(Logger)
