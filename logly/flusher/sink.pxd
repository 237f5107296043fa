"""A sink as the flusher sees it: what it wants, and a buffer of whole lines.

The bytes of `pending.text` from `pending.start` on have not been written yet. A mark per record says where its line ends, so
that records are counted exactly even after a short write or a discarded backlog.
"""

from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint32_t, uint64_t, uint8_t
from libc.stdlib cimport free
from libc.string cimport memmove, memset

from logly.flusher.batches cimport Batches, batches_begin
from logly.flusher.marks cimport LATE_BIT, NOTICE_BIT, Mark, Marks, marks_clear, marks_first, marks_push
from logly.flusher.rules cimport Rules
from logly.layout.line cimport Layout
from logly.spool.format cimport Spool, SpoolSlot, slot_cancel
from logly.system.fd cimport FD_FILE, fd_identity, fd_kind, fd_size
from logly.text.buffer cimport Buffer, Text, buffer_free, buffer_trim

cdef enum Target:
    TARGET_FD = 0
    TARGET_STREAM          # text for a Python object (or whatever descriptor sys.stderr has today)
    TARGET_FUNCTION        # records for a Python callable
    TARGET_BATCH           # lines for a Python callable, which a thread of the sink's own calls

cdef enum Busy:            # Python has a copy of the front of a buffer, which must stay there
    NOT_BUSY = 0
    BUSY_TEXT              # and nothing is written meanwhile
    BUSY_RECORDS

cdef enum SinkWork:        # what a sink wants of Python
    WORK_ROTATE = 1
    WORK_REOPEN = 2
    WORK_STREAM = 4
    WORK_RECORDS = 8
    WORK_ERROR = 16
    WORK_LOST = 32         # its descriptor was closed by other code: to be reported
    WORK_GIVEN_UP = 64     # it has given up records of which nobody was told yet

cdef enum WriteStatus:
    WRITE_DONE = 0
    WRITE_BLOCKED          # nobody reads at the other end: try again soon
    WRITE_FAILED           # see last_error
    WRITE_PYTHON           # Python must do what `work` says first

cdef extern from * nogil:
    const uint64_t NO_ROTATION "UINT64_MAX"


# The parts of a sink, grouped by how long their contents last. `sink_begin` resets each part that a forked child must not take
# over from its parent. Each new field belongs into one of the parts, so that it is reset with it.

cdef struct Selection:     # which records are for it
    bint enabled
    bint filtered          # a Python filter decides: records are staged for it
    bint dumps             # dumps of the flight recorder are for it
    bint serves            # it serves a handler of `logging`: it gets the records that name it, and no others
    bint bypasses          # it also gets what the logger's level keeps from all others
    uint8_t refuses        # records with one of these flags are not for it: its own Python code may have logged them
    int32_t max_level      # the lowest one is in `Sink.rules`
    Text* modules          # each also matches what is below it
    uint32_t module_count
    Text* functions
    uint32_t function_count


cdef struct Window:        # which of these records are for it, by when they were logged
    uint64_t from_sequence # records below were logged before the sink was there, or enabled
    uint64_t count         # this many records from there on are for it. INT64_MAX until it is disabled: earlier ones are not
    uint64_t before        # so many records were for it in windows before


cdef struct File:          # what is open; also where it is not a file
    int fd
    int kind               # as `fd_kind` tells it
    bint is_ours           # logly has opened it: nobody else may close it
    bint watched           # look whether the path still is our file
    const char* path       # for `watched` and shared rotation; owned
    uint64_t device        # of the open file, and its inode: which file a partly written line is in
    uint64_t inode
    int lock_fd            # -1: no other process rotates this file
    uint64_t lock_device
    uint64_t lock_inode
    int64_t used_ns        # monotonic: the last write; 0: none in this process
    int64_t proven_ns      # when the descriptor was last found to be ours
    int64_t trusted_ns     # until then it is not looked at: it has just been opened again
    int64_t size
    int64_t torn_size      # length of the file when it was opened without a newline at its end; -1: it had one
    int64_t size_limit     # 0: none
    int64_t period_from_ns # begin of this file's period of record times; outside of it the schedule is asked
    uint64_t period_ns


cdef struct HandlerRule:   # of the handler of `logging` that it serves that it writes for; `File.size_limit` is its `maxBytes`
    bint is_served
    bint rolls_empty       # it rolls an empty file over, too, for a line that is too long
    uint32_t terminator    # bytes behind the text of a line
    int source             # the handler's own descriptor, of which the sink's is a copy; -1: it is not looked at
    bint has_asked         # the handler has just been asked for its file, which is written before it is asked again
    uint64_t rolled_at     # there has been a rollover for the line that begins here, counted as `appended`; NO_ROTATION


cdef struct Pending:       # lines that are not written yet
    Buffer text
    size_t start           # those before it are
    size_t taken           # bytes of older lines that are not in `text` any more: see flusher/batches.pxd
    uint64_t appended      # bytes ever put into `text`
    uint64_t boundary      # whole records have been written up to here, counted as `appended`
    Marks marks
    int64_t due_ns         # monotonic: write at the latest then


cdef struct Staging:       # copies of records for Python
    Buffer records
    size_t start           # those before it have been handled
    Marks marks


cdef struct PythonSide:
    uint8_t busy           # of `Busy`
    uint32_t work          # of `SinkWork`


cdef struct Rotation:      # that is due
    uint64_t begins_at     # what is appended from here on belongs into the next file; NO_ROTATION
    int64_t begins_ns      # time of the first record behind it
    int64_t retry_ns       # the rotation failed and is not tried before this; 0: it did not fail


cdef struct Trouble:
    int error
    int64_t since_ns
    int64_t retry_at_ns
    int told_error         # the error that was reported last, and when
    int64_t told_at_ns
    uint64_t lost_untold   # lost records of which no notice in the log tells yet
    Marks told             # one mark per notice in the buffer; `sequence` is the number of missing records that it tells of


cdef struct LateLines:     # records that dumps of the flight recorder have given to it
    uint64_t count         # that it holds
    uint64_t first         # it holds none below this number
    uint64_t floor         # while its oldest record is late: it has passed all others below this sequence number
    uint64_t from_number   # those below have been written by a process that has died
    uint64_t offered       # that were for it
    uint64_t headed        # serial of the dump whose heading it has got


cdef struct Progress:      # as a spool keeps it
    Spool* spool           # the spool that is being consumed, where it keeps this sink's progress
    SpoolSlot* slot        # where
    uint64_t until         # the write that the slot tells of ends here, in bytes ever appended


cdef struct Repeats:       # of the latest record, where `Sink.dedup_ns` is set: see flusher/repeats.pxd
    Buffer kept            # what is compared, of the record with which the run began. Empty: there is no run
    Buffer base            # the first repeat as a record that refers to no names; empty until there is one
    uint32_t message_at    # where the message is in `base`, and the fields
    uint32_t fields_at
    uint64_t line_at       # where the run's first line begins, in bytes ever appended
    int64_t begun_ns       # when its record was logged
    int64_t due_ns         # monotonic: the repeats are told at the latest then
    uint64_t count         # repeats that no line tells of yet
    int64_t first_ns       # shown times of the first and the last of these
    int64_t last_ns
    uint64_t flushed       # number of the latest flush for which they were told
    uint64_t flushed_at    # it is done when the sink has written up to here; a function: has got the mark of this number


cdef struct Tally:         # for `stats()`
    uint64_t records
    uint64_t repeated      # of these, those that are counted by a line and have none
    uint64_t failed
    uint64_t told          # of these, those that somebody was told of, and when the flusher last asked for that
    int64_t told_ns
    uint64_t filtered      # records that its Python filter did not want
    uint64_t bytes_written
    uint64_t writes
    uint64_t write_errors
    uint64_t rotations


cdef struct Leaving:
    int64_t at_ns          # 0: the sink stays; else it is being removed, and goes at this time (monotonic) at the latest
    uint64_t attendant     # the thread that is to remove it; 0: any thread may


# What the next writes of a sink do, in tests: see `inject_outcomes` in control/probe.pxi.
cdef struct WriteScript:
    uint32_t count
    uint32_t next
    int64_t* outcomes      # minus an errno, or the most bytes that the write takes


cdef struct Sink:
    int id
    uint8_t target         # of `Target`
    bint synchronous       # the record is in the kernel when the call returns,
    bint spares_calls      # but no call waits for the sink while it is in trouble
    size_t buffer_size
    size_t backlog_limit   # a sink in trouble keeps at most this many bytes
    int64_t interval_ns
    int64_t dedup_ns       # equal records in succession become one line for so long; 0: each has its own
    Layout* layout
    Selection selection
    Rules rules            # from which level on, by name
    Window window
    File file
    HandlerRule handler
    Pending pending
    Staging staging
    PythonSide python
    Rotation rotation
    Trouble trouble
    LateLines late
    Batches batches
    Progress progress
    Repeats repeats
    Tally tally
    Leaving leaving
    WriteScript* script    # NULL but in tests
    int64_t clock_ns       # the time by which repeats are counted, in tests; 0: the true one
    Sink* next


# Called for a new sink, and for each sink in a forked child, where pending lines belong to the parent, which writes them. Memory
# that the sink holds is forgotten, not freed: `sink_free_memory` frees it.
cdef inline void sink_begin(Sink* sink) noexcept nogil:
    memset(&sink.window, 0, sizeof(Window))
    memset(&sink.pending, 0, sizeof(Pending))
    memset(&sink.staging, 0, sizeof(Staging))
    memset(&sink.python, 0, sizeof(PythonSide))
    memset(&sink.rotation, 0, sizeof(Rotation))
    memset(&sink.trouble, 0, sizeof(Trouble))
    memset(&sink.late, 0, sizeof(LateLines))
    batches_begin(&sink.batches)
    memset(&sink.progress, 0, sizeof(Progress))
    memset(&sink.repeats, 0, sizeof(Repeats))
    memset(&sink.tally, 0, sizeof(Tally))
    sink.window.count = INT64_MAX if sink.selection.enabled else 0
    sink.rotation.begins_at = NO_ROTATION
    sink.handler.rolled_at = NO_ROTATION
    # A child that becomes a daemon may have closed what it inherited.
    sink.file.used_ns = sink.file.proven_ns = sink.file.trusted_ns = 0


cdef inline void sink_free_memory(Sink* sink) noexcept nogil:
    free(sink.pending.marks.mark)
    free(sink.staging.marks.mark)
    free(sink.trouble.told.mark)
    buffer_free(&sink.pending.text)
    buffer_free(&sink.staging.records)
    buffer_free(&sink.repeats.kept)
    buffer_free(&sink.repeats.base)


cdef inline void free_texts(Text* texts, uint32_t count) noexcept nogil:
    cdef uint32_t i
    for i in range(count):
        free(<void*> texts[i].data)
    free(texts)


cdef inline void sink_free(Sink* sink) noexcept nogil:
    free_texts(sink.selection.modules, sink.selection.module_count)
    free_texts(sink.selection.functions, sink.selection.function_count)
    free(<void*> sink.file.path)
    free(sink.script)
    sink_free_memory(sink)
    free(sink)


# How many of the first `drained` records its window has let through.
cdef inline uint64_t sink_offered(const Sink* sink, uint64_t drained) noexcept nogil:
    if drained <= sink.window.from_sequence:
        return sink.window.before
    return sink.window.before + min(drained - sink.window.from_sequence, sink.window.count)


cdef inline uint64_t sink_pending(const Sink* sink) noexcept nogil:
    return (
        sink.pending.marks.last - sink.pending.marks.first - sink.pending.marks.notices
        + sink.staging.marks.last - sink.staging.marks.first - sink.staging.marks.notices
    )


cdef inline size_t sink_backlog(const Sink* sink) noexcept nogil:
    return sink.pending.text.size - sink.pending.start + sink.pending.taken + sink.staging.records.size - sink.staging.start


# Called before a mark of the late record with this number is added. `drained`: the number of the next record of a ring.
cdef inline void late_enters(Sink* sink, uint64_t number, uint64_t drained) noexcept nogil:
    if sink.late.count == 0:
        sink.late.first = number
    sink.late.count += 1
    if sink.pending.marks.first == sink.pending.marks.last and sink.staging.marks.first == sink.staging.marks.last:
        sink.late.floor = drained


# Called when the oldest of all marks of the sink is removed.
cdef inline void oldest_leaves(Sink* sink, uint64_t sequence) noexcept nogil:
    if sequence & NOTICE_BIT:
        sink.late.floor = sequence & ~NOTICE_BIT
        return
    if not sequence & LATE_BIT:
        sink.late.floor = sequence + 1
        return
    sink.late.count -= 1
    sink.late.first = (sequence & ~LATE_BIT) + 1


# Called when the oldest staged record has been removed, and does not become a line. Lines that wait are older.
cdef inline void staged_leaves(Sink* sink, uint64_t sequence) noexcept nogil:
    cdef bint is_oldest = sink.pending.marks.first == sink.pending.marks.last
    if is_oldest:
        oldest_leaves(sink, sequence)
    elif sequence & LATE_BIT:
        sink.late.count -= 1


cdef inline bint synchronous_are_behind(const Sink* sink) noexcept nogil:
    while sink != NULL:
        if sink.synchronous and sink_backlog(sink) and not (sink.spares_calls and sink.trouble.since_ns):
            return True
        sink = sink.next
    return False


# Marks the line that was just rendered at the end of `pending.text` as that of the record with this sequence number. Returns
# False when the line is not whole, or there was no memory for the mark. Then the line is removed, because no book would count it.
cdef inline bint sink_mark(Sink* sink, size_t line_start, uint64_t sequence) noexcept nogil:
    cdef uint64_t end = sink.pending.appended + sink.pending.text.size - line_start
    if sink.pending.text.failed or not marks_push(&sink.pending.marks, sequence, end):
        sink.pending.text.size = line_start
        sink.pending.text.failed = False
        return False
    sink.pending.appended = end
    if sequence & NOTICE_BIT:
        sink.pending.marks.notices += 1
    return True


# Sequence number of the oldest record that this sink still holds, or `otherwise`.
cdef inline uint64_t sink_oldest(const Sink* sink, uint64_t otherwise) noexcept nogil:
    cdef uint64_t sequence
    if sink.pending.marks.first != sink.pending.marks.last:
        sequence = sink.pending.marks.mark[sink.pending.marks.first].sequence
    elif sink.staging.marks.first != sink.staging.marks.last:
        sequence = sink.staging.marks.mark[sink.staging.marks.first].sequence
    else:
        return otherwise
    return sink.late.floor if sequence & LATE_BIT else sequence & ~NOTICE_BIT


# True when the sink holds nothing of the records below `mark`, nor of the late ones below `late`.
cdef inline bint sink_is_past(const Sink* sink, uint64_t mark, uint64_t late) noexcept nogil:
    return sink_oldest(sink, mark) >= mark and (sink.late.count == 0 or sink.late.first >= late)


# The number of the first staged record that is not late, or `otherwise`. With NOTICE_BIT: that of a notice.
cdef inline uint64_t sink_first_staged(const Sink* sink, uint64_t otherwise) noexcept nogil:
    cdef uint32_t i
    for i in range(sink.staging.marks.first, sink.staging.marks.last):
        if sink.staging.marks.mark[i].sequence & NOTICE_BIT or not sink.staging.marks.mark[i].sequence & LATE_BIT:
            return sink.staging.marks.mark[i].sequence
    return otherwise


# The number for a mark of a line of logly's own, when no record is being delivered. Records that wait for a filter come after it,
# so it is that of the first of these; late records have none.
cdef inline uint64_t sink_notice_number(const Sink* sink, uint64_t drained) noexcept nogil:
    if sink.target != TARGET_FUNCTION:
        drained = sink_first_staged(sink, drained)
    return drained | NOTICE_BIT


cdef inline uint64_t sink_written_offset(const Sink* sink) noexcept nogil:
    return sink.pending.appended - (sink.pending.text.size - sink.pending.start) - sink.pending.taken


# Removes written bytes from the front of the buffer, except the beginning of a line that is partly written. Otherwise the buffer
# of a sink that is always a little behind would grow.
cdef inline void sink_compact(Sink* sink) noexcept nogil:
    cdef size_t keep = <size_t> (sink_written_offset(sink) - sink.pending.boundary)
    cdef size_t gone = sink.pending.start - keep
    if gone > 65536 and gone > sink.pending.text.size - gone:
        memmove(sink.pending.text.data, sink.pending.text.data + gone, sink.pending.text.size - gone)
        sink.pending.text.size -= gone
        sink.pending.start = keep


# Called before these marks, which are the oldest of the sink, are removed.
cdef inline void late_leave(Sink* sink, const Marks* marks) noexcept nogil:
    cdef uint32_t i
    for i in range(marks.first, marks.last):
        oldest_leaves(sink, marks.mark[i].sequence)


cdef inline void sink_advance(Sink* sink, size_t size) noexcept nogil:
    cdef uint64_t written
    cdef const Mark* mark
    sink.pending.start += size
    sink.tally.bytes_written += size
    sink.file.size += size
    written = sink_written_offset(sink)
    if sink.pending.start == sink.pending.text.size:
        sink.pending.start = 0
        sink.pending.text.size = 0
        sink.pending.boundary = written
        sink.tally.records += sink.pending.marks.last - sink.pending.marks.first - sink.pending.marks.notices
        if sink.late.count:
            late_leave(sink, &sink.pending.marks)
        marks_clear(&sink.pending.marks)
        marks_clear(&sink.trouble.told)
        buffer_trim(&sink.pending.text, 4 * sink.backlog_limit)
        return
    mark = marks_first(&sink.pending.marks)
    while mark != NULL and mark.end <= written:
        sink.pending.boundary = mark.end
        if mark.sequence & NOTICE_BIT:
            sink.pending.marks.notices -= 1
            sink.trouble.told.first += 1
        else:
            sink.tally.records += 1
        oldest_leaves(sink, mark.sequence)
        sink.pending.marks.first += 1
        mark = marks_first(&sink.pending.marks)
    sink_compact(sink)


# Called before the rest of a staged write is discarded, or goes to another file.
cdef inline void sink_unstage(Sink* sink) noexcept nogil:
    if sink.progress.slot != NULL and sink.pending.marks.first != sink.pending.marks.last:
        slot_cancel(
            sink.progress.spool, sink.progress.slot, sink_oldest(sink, 0), sink.late.first if sink.late.count else 0,
        )
    sink.progress.until = 0


# True when a record is partly in the file. Its rest must then be written before anything else.
cdef inline bint sink_is_mid_record(const Sink* sink) noexcept nogil:
    return sink.pending.marks.first != sink.pending.marks.last and sink_written_offset(sink) != sink.pending.boundary


# Called when the file has been replaced: a line that is partly in the old file is written to the new one from its beginning.
cdef inline void sink_rewind(Sink* sink) noexcept nogil:
    if sink_is_mid_record(sink):
        sink.pending.start -= <size_t> (sink_written_offset(sink) - sink.pending.boundary)


# Forgets the buffered records, except the rest of one that is partly written. The caller has counted them. Missing records of
# which a forgotten notice would have told need a new notice.
cdef inline void sink_forget(Sink* sink, bint mid_record) noexcept nogil:
    cdef uint64_t keep_to
    cdef uint32_t kept = sink.trouble.told.first
    cdef Mark half
    sink_unstage(sink)
    if mid_record and sink.pending.marks.mark[sink.pending.marks.first].sequence & NOTICE_BIT:
        kept += 1
    while sink.trouble.told.last != kept:
        sink.trouble.told.last -= 1
        sink.trouble.lost_untold += sink.trouble.told.mark[sink.trouble.told.last].sequence
    sink.late.count = 0
    if mid_record:
        half = sink.pending.marks.mark[sink.pending.marks.first]
        keep_to = half.end - sink_written_offset(sink)
        sink.pending.appended = half.end
        sink.pending.text.size = sink.pending.start + <size_t> keep_to
        marks_clear(&sink.pending.marks)
        marks_push(&sink.pending.marks, half.sequence, half.end)
        sink.pending.marks.notices = 1 if half.sequence & NOTICE_BIT else 0
        sink.late.count = 1 if half.sequence & LATE_BIT else 0
    else:
        sink.pending.appended = sink_written_offset(sink)
        sink.pending.text.size = sink.pending.start = sink.pending.taken = 0
        sink.batches.marks = 0
        sink.batches.serial += 1
        marks_clear(&sink.pending.marks)
    if sink.rotation.begins_at != NO_ROTATION:
        sink.rotation.begins_at = sink.pending.appended
    sink.staging.records.size = 0
    sink.staging.start = 0
    marks_clear(&sink.staging.marks)


cdef inline void sink_set_file(Sink* sink, int fd) noexcept nogil:
    sink_unstage(sink)
    sink.file.fd = fd
    sink.file.kind = fd_kind(fd) if fd >= 0 else FD_FILE
    sink.file.size = fd_size(fd) if fd >= 0 else 0
    sink.file.torn_size = -1
    if fd >= 0:
        fd_identity(fd, &sink.file.device, &sink.file.inode)


cdef inline void sink_set_lock(Sink* sink, int fd) noexcept nogil:
    sink.file.lock_fd = fd
    if fd >= 0:
        fd_identity(fd, &sink.file.lock_device, &sink.file.lock_inode)
