"""The one compiled module: the included files of all rooms, which are explained in docs/architecture.md, "The rooms"."""

from os import urandom

from libc.stdint cimport INT32_MAX, INT64_MAX
from libc.string cimport memcpy

from logly.flusher.directives cimport LEVEL_UNSAID
from logly.flusher.write cimport PIPE_CHUNK
from logly.layout.field_names cimport NAME_KEYS, name_keys
from logly.layout.line cimport COLOR_LEVEL, COLOR_LINE, COLOR_NONE, MAX_LEVELS, PIECE_FIELD, PIECE_LITERAL, PIECE_TIME
from logly.ring.leases cimport FREE_THREADED
from logly.system.clock cimport clock_init
from logly.text.format_spec cimport KIND_BOOL, KIND_BYTES, KIND_FLOAT, KIND_INT, KIND_NONE, KIND_STR
from logly.text.zones cimport ZONE_LOCAL, ZONE_UTC

IS_FREE_THREADED = bool(FREE_THREADED)

# The constants that Python shares. Here they are names of C, which an assignment would not bring into the module.
globals().update(
    COLOR_LEVEL=COLOR_LEVEL,
    COLOR_LINE=COLOR_LINE,
    COLOR_NONE=COLOR_NONE,
    KIND_BOOL=KIND_BOOL,
    KIND_BYTES=KIND_BYTES,
    KIND_FLOAT=KIND_FLOAT,
    KIND_INT=KIND_INT,
    KIND_NONE=KIND_NONE,
    KIND_STR=KIND_STR,
    LEVEL_UNSAID=LEVEL_UNSAID,
    MAX_LEVELS=MAX_LEVELS,
    NEVER_NS=INT64_MAX,
    OFF=INT32_MAX,
    PIECE_FIELD=PIECE_FIELD,
    PIECE_LITERAL=PIECE_LITERAL,
    PIECE_TIME=PIECE_TIME,
    PIPE_CHUNK=PIPE_CHUNK,
    ZONE_LOCAL=ZONE_LOCAL,
    ZONE_UTC=ZONE_UTC,
)

clock_init()

cdef bytes random_numbers = urandom(8 * NAME_KEYS)
memcpy(name_keys, <const char*> random_numbers, 8 * NAME_KEYS)

include "system/threads.pxi"
include "system/pipe_signal.pxi"
include "text/owned_text.pxi"
include "ring/enter.pxi"
include "text/python_time.pxi"
include "ring/forks.pxi"
include "layout/message_rules.pxi"
include "layout/compile.pxi"
include "layout/json_compile.pxi"
include "layout/logging_compile.pxi"
include "registry/name_entries.pxi"
include "registry/program.pxi"
include "registry/retired.pxi"
include "registry/templates.pxi"
include "registry/sites.pxi"
include "registry/places.pxi"
include "files/descriptor.pxi"
include "spool/spool_file.pxi"
include "spool/dead_spool.pxi"
include "spool/dead_recorder.pxi"
include "control/spooling.pxi"
include "control/process_end.pxi"
include "control/rings.pxi"
include "control/level_rules.pxi"
include "control/routing.pxi"
include "control/logger_names.pxi"
include "control/core.pxi"
include "control/context_sources.pxi"
include "control/levels.pxi"
include "control/work.pxi"
include "control/flush.pxi"
include "control/commit.pxi"
include "control/recording.pxi"
include "control/sampling.pxi"
include "control/redaction.pxi"
include "control/flusher_thread.pxi"
include "control/fork.pxi"
include "control/sink_handle.pxi"
include "control/python_records.pxi"
include "control/batches.pxi"
include "control/frames.pxi"
include "control/probe.pxi"
include "caller/values.pxi"
include "caller/plain_value.pxi"
include "caller/json_value.pxi"
include "caller/fields.pxi"
include "caller/context.pxi"
include "caller/origin.pxi"
include "caller/full_ring.pxi"
include "caller/spans.pxi"
include "caller/gather.pxi"
include "caller/exceptions.pxi"
include "caller/place_texts.pxi"
include "caller/decision.pxi"
include "caller/trace_texts.pxi"
include "caller/hidden.pxi"
include "caller/call_mistakes.pxi"
include "caller/tstrings.pxi"
include "caller/careful.pxi"
include "caller/changed_record.pxi"
include "caller/keep.pxi"
include "caller/calls.pxi"
include "caller/limits.pxi"
include "caller/limit_sites.pxi"
include "caller/light_calls.pxi"
include "caller/held_back.pxi"
include "caller/named_levels.pxi"
include "caller/sampling.pxi"
include "bridge/sight.pxi"
include "bridge/stamps.pxi"
include "bridge/routes.pxi"
include "bridge/known_routes.pxi"
include "bridge/barrier.pxi"
include "bridge/served_names.pxi"
include "bridge/served_extra.pxi"
include "bridge/rendered.pxi"
include "bridge/logging_calls.pxi"
include "bridge/one_line.pxi"
include "bridge/handler_rule.pxi"
