"""A sink that sends its records to a syslog daemon or to systemd's journal; see `logly.outlets.socket_outlet`."""

from __future__ import annotations

from logly.config.socket_address import parse_socket
from logly.errors import ConfigError, show
from logly.outlets.outlet import Outlet
from logly.outlets.socket_outlet import SocketFunction

from .batch_sink import BatchSink
from .sinks import Sink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ssl import SSLContext

    from logly.config.schema import LoggerConfig

__all__ = ["SocketSink"]


class SocketSink(BatchSink):
    """A sink whose settings have a `socket`. See `Sink`."""

    def _prepare(self) -> None:
        self._address = parse_socket(self.config.socket)
        self._context = self._trust() if self._address.kind == "tls" else None
        super()._prepare()

    def _trust(self) -> SSLContext:
        import ssl

        given = self.config.tls
        if given is not None and not isinstance(given, str):
            return given  # type: ignore[return-value]  # an SSLContext: see `checks.tls`
        try:
            return ssl.create_default_context(cafile=given)
        except OSError as error:
            text = f"tls = {show(given)} cannot be used: {error}; use a file with certificates in PEM form"
            raise ConfigError(text, field="tls", value=given) from error

    def _make_outlet(self) -> None:
        is_journal = self.config.format == "journald"
        self._function = SocketFunction(self._address, is_journal=is_journal, context=self._context)
        name = f"logly-socket-{self.id}"
        function = self._function
        self.outlet = Outlet(
            self.core, self.handle, function, self._wake, name, self._told_retry, self.on_error, function.close
        )

    def interval_ms(self, logger_config: LoggerConfig) -> float:
        return Sink.interval_ms(self, logger_config)

    # ---- its end

    def after_removal(self, lost: int) -> None:
        super().after_removal(lost)
        self._close()

    def release_file(self) -> None:
        super().release_file()
        self._close()

    def outlive_modules(self) -> None:
        super().outlive_modules()
        self._close()

    def _close(self) -> None:
        if not self.outlet.is_calling:
            self._function.close()
