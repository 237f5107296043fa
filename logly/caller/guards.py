"""What `Logger.contextualize` and `Logger.catch` return: context managers that also decorate any kind of function."""

from __future__ import annotations

import functools
import sys
from contextlib import nullcontext
from types import CodeType

from logly._core import ContextGuard, LevelGuard, emit_from

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from types import FrameType, TracebackType
    from typing import Any, Self, TypeVar

    from logly._core import Core
    from logly._logger import Logger
    from logly.config.level_spec import LevelSpec
    from logly.control.level_layers import LevelLayers
    from logly.levels import Level

    Function = TypeVar("Function", bound=Callable[..., Any])

__all__ = ["AtLevel", "Catcher", "Contextualized"]


class Contextualized(ContextGuard):
    """Fields for the current context, inside the ``with``. Reusable, and by several threads and tasks at once."""

    def __call__(self, function: Function) -> Function:
        return decorate(function, self, each_step=True)


class AtLevel(LevelGuard):
    """Levels that hold inside the ``with``. Reusable, and by several threads at once."""

    def __init__(self, core: Core, layers: LevelLayers, spec: LevelSpec) -> None:
        super().__init__(core, spec)
        self.enter = layers.enter
        self.leave = layers.leave

    def __call__(self, function: Function) -> Function:
        return decorate(function, self)


class Catcher:
    """Logs what is raised inside, and swallows it unless `reraise` is set. Reusable, because it has no state."""

    def __init__(
        self,
        logger: Logger,
        kinds: type[BaseException] | tuple[type[BaseException], ...],
        level: Level | int | str,
        reraise: bool,
        message: str,
        default: Any,
        exclude: type[BaseException] | tuple[type[BaseException], ...] = (),
        onerror: Callable[[Any], object] | None = None,
    ) -> None:
        self._logger = logger
        self._kinds = kinds
        self._level = level
        self._reraise = reraise
        self._message = message
        self._default = default
        self._exclude = exclude
        self._onerror = onerror
        self._function: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None or not isinstance(error, self._kinds) or isinstance(error, self._exclude):
            return False
        inner = _without_own_frames(trace)
        function = self._function
        if function is None:
            function = trace.tb_frame.f_code.co_name if trace is not None else "?"
        # Only our own placeholder is filled: the rest of the text is the user's, braces and all.
        text = self._message.replace("{function}", function)
        place = inner if inner is not None else _calling_frame()
        emit_from(self._logger, self._level, text, {}, (kind, error, inner or trace), place)
        if self._onerror is not None:
            self._onerror(error)
        return not self._reraise

    def __call__(self, function: Function) -> Function:
        guard = type(self).__new__(type(self))
        guard.__dict__.update(self.__dict__, _function=getattr(function, "__name__", repr(function)))
        return decorate(function, guard, default=self._default)


def _without_own_frames(trace: TracebackType | None) -> TracebackType | None:
    """The traceback from the decorated function's frame on, because the wrapper's frame says nothing to anybody."""
    while trace is not None and trace.tb_frame.f_code in _WRAPPERS:
        trace = trace.tb_next
    return trace


def _calling_frame() -> FrameType | None:
    """The frame that called the decorated function, for calls that fail themselves (wrong arguments)."""
    frame = sys._getframe(1).f_back  # C code may have called `__exit__`, with no Python below
    while frame is not None and frame.f_code in _WRAPPERS:
        frame = frame.f_back
    return frame


def decorate(function: Function, guard: Any, *, default: Any = None, each_step: bool = False) -> Function:
    """`function` run inside ``with guard``, whatever kind of function it is.

    Args:
        function: a function, coroutine function, generator function or async generator function.
        guard: a context manager that can be entered many times.
        default: what is returned where the guard swallows an exception.
        each_step: generators enter the guard for each step and not only once, because it changes the caller's context.
    """
    from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction

    wrapped: Any
    if iscoroutinefunction(function):
        wrapped = _coroutine(function, guard, default)
    elif isasyncgenfunction(function):
        wrapped = _async_generator(function, guard, each_step)
    elif isgeneratorfunction(function):
        wrapped = _stepped_generator(function, guard) if each_step else _generator(function, guard, default)
    else:
        wrapped = _plain(function, guard, default)
    result: Function = wrapped
    return result


def _plain(function: Callable[..., Any], guard: Any, default: Any) -> Callable[..., Any]:
    @functools.wraps(function)
    def plain(*args: Any, **kwargs: Any) -> Any:
        with guard:
            return function(*args, **kwargs)
        return default

    return plain


def _coroutine(function: Callable[..., Any], guard: Any, default: Any) -> Callable[..., Any]:
    @functools.wraps(function)
    async def coroutine(*args: Any, **kwargs: Any) -> Any:
        with guard:
            return await function(*args, **kwargs)
        return default

    return coroutine


def _generator(function: Callable[..., Any], guard: Any, default: Any) -> Callable[..., Any]:
    @functools.wraps(function)
    def generator(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        with guard:
            return (yield from function(*args, **kwargs))
        return default

    return generator


def _stepped_generator(function: Callable[..., Any], guard: Any) -> Callable[..., Any]:
    @functools.wraps(function)
    def stepped_generator(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        inner = function(*args, **kwargs)
        step: Any = inner.send
        value: Any = None
        while True:
            try:
                with guard:
                    item = step(value)
            except StopIteration as end:
                return end.value
            try:
                step, value = inner.send, (yield item)
            except GeneratorExit:
                with guard:
                    inner.close()
                raise
            except BaseException as error:  # noqa: BLE001  # the generator inside decides what becomes of it
                step, value = inner.throw, error

    return stepped_generator


def _async_generator(function: Callable[..., Any], guard: Any, each_step: bool) -> Callable[..., Any]:
    # There is no `yield from` in async generators, so what is sent, thrown and closed is passed on by hand.
    whole, each = (nullcontext(), guard) if each_step else (guard, nullcontext())

    @functools.wraps(function)
    async def async_generator(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        with whole:
            inner = function(*args, **kwargs)
            step: Any = inner.asend
            value: Any = None
            while True:
                try:
                    with each:
                        item = await step(value)
                except StopAsyncIteration:
                    return
                try:
                    step, value = inner.asend, (yield item)
                except GeneratorExit:
                    with each:
                        await inner.aclose()
                    raise
                except BaseException as error:  # noqa: BLE001  # the generator inside decides what becomes of it
                    step, value = inner.athrow, error

    return async_generator


_WRAPPERS = {
    constant
    for maker in (_plain, _coroutine, _generator, _stepped_generator, _async_generator)
    for constant in maker.__code__.co_consts
    if isinstance(constant, CodeType)
}
