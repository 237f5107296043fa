"""The compiled logger: the level gate and the way into the ring (`Producer`), the engine behind it (`Core`).

The data path is in the header-only `.pxd` files; here is what needs Python objects around it. One extension module, in
files of one concept each: `_system_threads.pxi` (threads, locks and pauses of the system), `_registry.pxi` (templates, call
sites), `_messages.pxi` (the rules for a message's placeholders), `_slow.pxi` (what may run Python code at a call),
`_nested.pxi` and `_fields.pxi` (nested values, blocks of fields), `_layouts.pxi` (layout programs), `_engine.pxi` (`Core`),
`_commit.pxi` (changes in one step), `_flusher.pxi` (its thread), `_sink_handle.pxi` (`SinkHandle`), `_descriptor.pxi`
(descriptors that belong to objects), `_spool.pxi`, `_spool_use.pxi`, `_records.pxi` (records as Python objects),
`_enter.pxi` (which ring a thread writes to), `_room.pxi` (records that wait for room), `_calls.pxi` (the log calls).
"""

import sys
import threading
from _string import formatter_field_name_split, formatter_parser
from _weakref import ref as weakref
from collections import deque
from os import urandom
from types import TracebackType

cimport cython
from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_New, PyTuple_SET_ITEM
from libc.stdint cimport INT32_MAX, INT64_MAX, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memchr, memcpy, memset

from logly._atomic cimport (
    compare_exchange, exchange32, fence_full, fetch_add, fetch_or32, fetch_sub, load_acquire, load_acquire32, load_pointer,
    load_relaxed, load_relaxed32, store_pointer, store_relaxed, store_relaxed32, store_release, store_release32,
)
from logly._buffer cimport Buffer, buffer_append, buffer_free, buffer_init, buffer_trim
from logly._calendar cimport TimePattern, time_pattern_compile, time_pattern_compile_rfc3339, time_pattern_free
from logly._clock cimport (
    ClockCalibration, ClockLine, calibration_init, calibration_ns, clock_init, clock_monotonic_ns, clock_ticks,
    clock_wall_ns,
)
from logly._delivery cimport engine_discard, deliver_line, engine_line, engine_write, sink_recovered, sink_trouble
from logly._durable cimport close_sync_files, engine_sync, synced_latest, synced_write
from logly._engine cimport any_spool, engine_pass, engine_run, sink_may_leave
from logly._state cimport (
    MAX_LEVELS, NEED_CARE, NEED_CONTEXT, NEED_SITE, NEED_THREAD, NEED_THREAD_NAME, PASS_HELD, PASS_MORE, PASS_PYTHON,
    PASS_SOON, POST_DRAIN, POST_START, POST_SYNC, POST_WAKE, RUN_PYTHON, SOON_NS, TELL_NS, Engine, engine_committed,
    engine_fail, engine_lock, engine_position, engine_unlock, engine_wake, engine_written,
)
from logly._event cimport Event, event_destroy, event_init, event_prepare, event_signal, event_wait, wait_ns
from logly._fd cimport (
    FD_FILE, fd_close, fd_identity, fd_kind, fd_size, fd_sync, fd_unlink, fd_writable, fd_write_raw, process_id,
)
from logly._format cimport KIND_ALL, KIND_BYTES, KIND_STR, FormatSpec, parse_spec, spec_accepts
from logly._layout cimport is_of_run
from logly._line cimport (
    LAYOUT_JSON, LAYOUT_PRETTY_JSON, PIECE_FIELD, PIECE_LITERAL, PIECE_TIME, RUN_ENTRIES, Layout, Level, Line, Piece,
    RunEntry, Site, Text, base_name, write_message,
)
from logly._lock cimport Lock, lock_await, lock_init, lock_release, lock_spin, lock_take, lock_try
from logly._merge cimport Merge, merge_free
from logly._names cimport NAME_KEYS, index_free, name_keys
from logly._output cimport (
    BUSY_RECORDS, BUSY_TEXT, NO_TURN, NOT_BUSY, TARGET_FD, TARGET_FUNCTION, TARGET_STREAM, WORK_ERROR, WORK_RECORDS,
    WORK_REOPEN, WORK_ROTATE, WORK_STREAM, WRITE_FAILED, Marks, Sink, marks_clear, sink_advance, sink_backlog,
    sink_is_mid_record, sink_rewind, sink_unstage, sink_use_spool, sink_written_offset, synchronous_are_behind,
)
from logly._producer cimport (
    ENCODED, EXCEPTION_TEXTS, NO_ROOM, NOT_NATIVE, Call, Origin, after_commit, encode, encode_in_place, finish_record, put_text,
    put_value, site_of_caller, text_in_place,
)
from logly._program cimport MAX_ARGS, MAX_TEMPLATE_BYTES, STEP_ARGUMENT, STEP_LITERAL, Program, Step
from logly._python cimport (
    KNOWS_GLOBALS, PyInterpreterState, PyThreadState, PyThreadState_Get, frame_of, interpreter_ends, is_interned, is_str,
    namespace_keep, namespace_key, namespaces_begin, new_thread_state, text_kind_of, text_length_of, tuple_item, tuple_length,
)
from logly._record cimport (
    IS_ECHO, IS_INSIDE, MAY_REPEAT, TAG_BYTES, TAG_FALSE, TAG_FLOAT, TAG_INT, TAG_JSON, TAG_LATIN1, TAG_NONE, TAG_NUMBER,
    TAG_TRUE, TAG_UCS2, TAG_UCS4, TAG_UINT, TAG_UTF8, Cursor, FieldIndex, RecordHeader, RecordHeap, RecordView, Value, get_value,
    put_counted, unit_size,
)
from logly._ring cimport (
    NOT_IN_FLIGHT, NOT_STALLED, PREFIX_SIZE, RECORD_HEAP, RECORD_INLINE, RECORD_PADDING, RING_ALIGN, RecordPrefix, Ring,
    ring_attach, ring_begin, ring_commit, ring_end, ring_free, ring_max_inline, ring_new, ring_release,
    ring_reload_tail, ring_reserve, ring_used,
)
from logly._sound cimport Names, record_is_sound
from logly._spool cimport (
    HEADER_BYTES, NAMES_BYTES, RING_OFFSET, SLOT_IDLE, SLOT_NAME_BYTES, SLOT_WRITING, SLOT_WRITTEN, SPOOL_SLOTS,
    SPOOL_VERSION, STAGE_BYTES, SYNCED_APART, SYNCED_OFFSET, Released, Spool, SpoolHeader, SpoolSlot, Synced, slot_done,
    slot_stage, spool_keep, spool_let_go, spool_put_blob, spool_pwrite,
)
from logly._table cimport Table, table_find, table_insert
from logly._threads cimport (
    FREE_THREADED, latest_ring, lease_bury, lease_is_mine, lease_is_over, lease_leave, lease_new, new_name, own_ring, prune_rings,
)

from .template import parse_message

cdef extern from *:
    ctypedef struct PyTypeObject
    object PyDescr_NewMethod(PyTypeObject* type_, PyMethodDef* definition)
    int PyErr_CheckSignals() except -1
    unsigned long PyThread_get_thread_ident() noexcept nogil
    int PyContextVar_Get(PyObject* variable, PyObject* otherwise, PyObject** value) noexcept
    void PyErr_Clear() noexcept
    void Py_IncRef "Py_INCREF"(PyObject*) noexcept nogil
    void Py_DecRef "Py_DECREF"(PyObject*) noexcept
    ctypedef PyObject* (*PyCFunction)(PyObject*, PyObject*) noexcept
    struct PyMethodDef:
        const char* ml_name
        PyCFunction ml_meth
        int ml_flags
        const char* ml_doc
    int METH_FASTCALL
    int METH_KEYWORDS

cdef enum:
    MAX_FIELD_BYTES = 1 << 26      # of all the fields of one call, bind or context
    MAX_RECORD_BYTES = 0x7FFFFFFF  # its size is told in 32 bits

IS_FREE_THREADED = bool(FREE_THREADED)

clock_init()

cdef bytes random_numbers = urandom(8 * NAME_KEYS)
memcpy(name_keys, <const char*> random_numbers, 8 * NAME_KEYS)

include "_system_threads.pxi"
include "_registry.pxi"
include "_messages.pxi"
include "_slow.pxi"
include "_nested.pxi"
include "_fields.pxi"
include "_layouts.pxi"
include "_descriptor.pxi"
include "_spool.pxi"
include "_spool_use.pxi"
include "_rings.pxi"
include "_enter.pxi"
include "_engine.pxi"
include "_commit.pxi"
include "_flusher.pxi"
include "_fork.pxi"
include "_sink_handle.pxi"
include "_records.pxi"
include "_room.pxi"
include "_calls.pxi"
