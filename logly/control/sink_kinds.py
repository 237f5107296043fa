"""Which class of sink some settings describe. The classes that few programs use are imported at their first use."""

from __future__ import annotations

from .stream_sink import DescriptorSink, StreamSink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from logly.config.schema import SinkConfig

    from .sinks import Sink

__all__ = ["kind_of"]


def kind_of(config: SinkConfig) -> type[Sink]:
    """The class of sink that these resolved settings describe."""
    if config.path is not None:
        from .file_sink import FileSink

        return FileSink
    if config.socket is not None:
        from .socket_sink import SocketSink

        return SocketSink
    if config.batch is not None:
        from .batch_sink import BatchSink

        return BatchSink
    if config.function is not None:
        from .function_sink import FunctionSink

        return FunctionSink
    return StreamSink if config.fd is None else DescriptorSink
