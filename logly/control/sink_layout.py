"""The layout of a sink's lines, as it follows from the settings of the sink and of its logger."""

from __future__ import annotations

from logly._core import COLOR_LEVEL, PIECES, LayoutProgram
from logly.config.checks import JSON_LAYOUTS, WIRE_LAYOUTS
from logly.layout import layout_template
from logly.layout.colors import is_dumb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from logly.config.schema import LoggerConfig, SinkConfig
    from logly.layout.json_layout import JsonMembers
    from logly.layout.wire import WireSettings

__all__ = ["sink_layout"]

USER = 1
"""The facility of syslog where the settings name none."""


def sink_layout(
    config: SinkConfig, logger: LoggerConfig, *, color: int, zone: int, is_terminal: bool, is_narrow: bool
) -> tuple[LayoutProgram, set[str]]:
    """Returns the layout, and the names that it shows.

    Args:
        config: the sink's settings, checked.
        logger: the logger's settings, checked.
        color: `COLOR_NONE`, `COLOR_LEVEL` or `COLOR_LINE`.
        zone: the core's number of the time zone.
        is_terminal: a person reads the lines on a terminal.
        is_narrow: on that terminal the usual layout leaves no room for the message.

    Raises:
        ConfigError: the template is wrong.
    """
    pieces: list[layout_template.Piece] = []
    text, is_default = config.format, config.format is None
    members = _json_members(config, logger)
    if members is not None:
        kind, names = "json", members.shown
    elif text == "logfmt":
        kind, names = "logfmt", {"module"}
    elif text in WIRE_LAYOUTS:
        kind, names = str(text), {"module", "function", "path", "lineno"}
    else:
        text, time = (text, config.date_style) if text is not None else _default_template(config, logger, is_narrow)
        pieces = layout_template.parse_layout(text, time=time)
        kind, names = "text", {PIECES[code] for code, *_ in pieces}
    is_console = is_terminal and is_default and kind == "text"
    styles, styles_of_parts = None, None
    if color == COLOR_LEVEL and is_console and config.color != "level":
        from logly.layout.styles import console_styles, part_styles, theme_of

        theme = theme_of(logger.styles)
        styles, styles_of_parts = console_styles(pieces, theme), part_styles(theme)
    elif color == COLOR_LEVEL and any(style for *_, style in pieces):
        from logly.layout.styles import styles_of, theme_of

        styles = styles_of(pieces, theme_of(logger.styles))
    if config.newlines:
        newlines = config.newlines
    elif config.socket:
        newlines = "keep"
    else:
        newlines = "indent" if is_console and not is_dumb() else "escape"
    layout = LayoutProgram(
        kind,
        pieces,
        newlines=newlines,
        color=color,
        terminal=is_terminal,
        zone=zone,
        fields=is_default,
        exception="exception" not in names,
        json=members,
        styles=styles,
        part_styles=styles_of_parts,
        wire=_wire_settings(config) if kind in WIRE_LAYOUTS else None,
    )
    return layout, names


def _wire_settings(config: SinkConfig) -> WireSettings:
    from logly.layout.wire import WireSettings

    return WireSettings(
        facility=USER if config.facility is None else int(config.facility),
        program=config.app_name,
        element=config.sd_id,
        has_bom=config.bom,
        is_framed=config.socket is not None,
        is_legacy=config.format == "rfc3164",
    )


def _json_members(config: SinkConfig, logger: LoggerConfig) -> JsonMembers | None:
    """Returns the members of the sink's JSON lines; None: its lines are not JSON."""
    name, is_pretty = config.format, False
    if name not in JSON_LAYOUTS:
        name = "json"
        if not config.json:
            if config.json is False or config.format is not None or not (logger.json or logger.pretty_json):
                return None
            is_pretty = logger.pretty_json
    from logly.layout.json_layout import json_members

    return json_members(
        name,
        keys=config.json_keys,
        static=config.json_static,
        fields=config.json_fields,
        time=config.json_time,
        level=config.json_level,
        is_pretty=is_pretty,
    )


def _default_template(config: SinkConfig, logger: LoggerConfig, is_narrow: bool) -> tuple[str, str]:
    """Returns the layout that a sink without a format has, and how it shows the time."""
    shows_time = logger.show_time if config.date_enabled is None else config.date_enabled
    if logger.log_compact or (is_narrow and not is_dumb()):
        text = layout_template.compact_layout(time=shows_time, module=logger.show_module, lineno=logger.show_lineno)
        return text, config.date_style or layout_template.COMPACT_TIME
    text = layout_template.default_layout(
        time=shows_time,
        module=logger.show_module,
        function=logger.show_function,
        filename=logger.show_filename,
        lineno=logger.show_lineno,
    )
    return text, config.date_style or layout_template.DEFAULT_TIME
