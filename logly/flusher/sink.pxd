"""A sink as the flusher sees it: a buffer of whole lines, and their way into a descriptor.

`out.data[start:out.size]` has not been written. A mark per record tells where its line ends, so that a
short write or a discarded backlog still counts records exactly.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t, uint8_t
from libc.stdlib cimport realloc
from libc.string cimport memmove

from logly.layout.line cimport Layout
from logly.spool.format cimport SPOOL_SLOTS, STAGE_BYTES, Spool, SpoolSlot, slot_begin, slot_cancel, slot_written
from logly.system.fd cimport (
    EAGAIN, EBADF, EINTR, EMSGSIZE, EWOULDBLOCK, FD_DATAGRAM, FD_FILE, fd_is_path, fd_kind, fd_lock_briefly, fd_place,
    fd_send_shortened, fd_size, fd_unlock, fd_writable, fd_write_raw,
)
from logly.text.buffer cimport Buffer, Text, buffer_trim

cdef enum:
    PIPE_CHUNK = 4096      # PIPE_BUF: written as one piece, and without blocking where poll says writable

cdef enum Target:
    TARGET_FD = 0
    TARGET_STREAM          # text for a Python object (or whatever descriptor sys.stderr has today)
    TARGET_FUNCTION        # records for a Python callable

cdef enum Busy:            # Python has a copy of what is at the front of a buffer: it must stay there
    NOT_BUSY = 0
    BUSY_TEXT              # and nothing is written meanwhile
    BUSY_RECORDS

cdef enum SinkWork:        # what a sink wants of Python
    WORK_ROTATE = 1
    WORK_REOPEN = 2
    WORK_STREAM = 4
    WORK_RECORDS = 8
    WORK_ERROR = 16

cdef enum WriteStatus:
    WRITE_DONE = 0
    WRITE_BLOCKED          # nobody reads at the other end: try again soon
    WRITE_FAILED           # see last_error
    WRITE_PYTHON           # `work` says what must come first

cdef extern from * nogil:
    """
    static const uint64_t LOGLY_NOTICE_BIT = 1ull << 63;
    """
    const uint64_t NOTICE_BIT "LOGLY_NOTICE_BIT"   # a line of logly's own, which no book counts
    const uint64_t NO_TURN "UINT64_MAX"


cdef struct Mark:
    uint64_t sequence      # of the record; NOTICE_BIT set: a notice before the record of that number
    uint64_t end           # its line ends here, in bytes ever appended


cdef struct Marks:
    Mark* mark
    uint32_t notices       # how many of them are logly's own lines, which no book counts
    uint32_t first
    uint32_t last          # one past
    uint32_t capacity


cdef struct Sink:
    int id
    uint8_t target
    int fd
    int fd_kind
    bint enabled
    uint8_t refuses        # records with one of these flags are not for it: its own Python code may have logged them
    uint8_t busy
    bint synchronous       # the record is in the kernel when the call returns
    bint filtered          # a Python filter decides: records are staged for it
    bint watched           # look whether the path still is our file
    uint64_t from_sequence # records below were logged before the sink was there, or enabled
    int64_t leaves_ns      # 0: it stays; else it is being removed, and goes then (monotonic), whatever it has not written
    uint64_t attendant     # thread that sees to that; 0: whoever comes along
    uint64_t span          # so many records from there on are for it: INT64_MAX (earlier ones: no) until it is disabled
    int32_t min_level
    int32_t max_level
    Layout* layout
    Text* modules          # NULL-terminated by count; each also matches what is below it
    uint32_t module_count
    Text* functions
    uint32_t function_count
    uint8_t* route         # per call site: 0 undecided, 1 no, 2 yes
    uint32_t route_size
    Buffer out
    size_t start
    uint64_t appended      # bytes ever put into `out`
    uint64_t boundary      # up to here whole records have been written, in the same count
    Marks marks
    Buffer staged          # copies of records for Python
    size_t staged_start    # those before it have been handled
    Marks staged_marks
    size_t buffer_size
    size_t backlog_limit   # a sink in trouble keeps at most this many bytes
    int64_t interval_ns
    int64_t due_ns         # monotonic: write at the latest then
    const char* path       # for `watched` and shared rotation; owned
    uint64_t device        # of the open file, and its inode: which file a partly written line is in
    uint64_t inode
    int lock_fd            # -1: no other process rotates this file
    int64_t file_size
    int64_t torn_size      # the file had this length and no newline at its end when it was opened; -1: it had one
    int64_t size_limit     # 0: none
    int64_t period_from_ns # record times of the present file: outside of them, the schedule is asked
    uint64_t period_ns
    uint64_t turn          # what is appended from here on belongs into the next file; NO_TURN
    int64_t turn_ns        # time of the first record behind it
    int64_t rotate_retry_ns # rotation failed: not tried before (0: it did not)
    uint32_t work
    int last_error
    int64_t trouble_since_ns
    int64_t retry_at_ns
    int told_error         # what on_error has been told of, and when
    int64_t told_at_ns
    uint64_t lost_untold   # records that no line in the log tells of yet
    Marks told             # per notice in the buffer: of how many missing records it tells (as `sequence`)
    Spool* spool           # the one that is being consumed, when it keeps this sink's progress
    SpoolSlot* slot        # that progress
    uint64_t staged_until  # the write that the slot tells of ends here, in bytes ever appended
    int64_t* outcomes      # test hook: what the next writes do (minus errno, or the most bytes they take)
    uint32_t outcome_count
    uint32_t outcome_next
    # statistics
    uint64_t records
    uint64_t failed
    uint64_t bytes_written
    uint64_t writes
    uint64_t write_errors
    uint64_t rotations
    Sink* next


cdef inline bint marks_push(Marks* marks, uint64_t sequence, uint64_t end) noexcept nogil:
    cdef uint32_t capacity
    cdef Mark* grown
    if marks.last == marks.capacity:
        if marks.first > marks.capacity // 2:
            memmove(marks.mark, marks.mark + marks.first, (marks.last - marks.first) * sizeof(Mark))
            marks.last -= marks.first
            marks.first = 0
        else:
            capacity = marks.capacity * 2 if marks.capacity else 256
            grown = <Mark*> realloc(marks.mark, capacity * sizeof(Mark))
            if grown == NULL:
                return False
            marks.mark = grown
            marks.capacity = capacity
    marks.mark[marks.last].sequence = sequence
    marks.mark[marks.last].end = end
    marks.last += 1
    return True


cdef inline void marks_clear(Marks* marks) noexcept nogil:
    marks.first = 0
    marks.last = 0
    marks.notices = 0


cdef inline size_t sink_backlog(const Sink* sink) noexcept nogil:
    return sink.out.size - sink.start + sink.staged.size - sink.staged_start


cdef inline bint synchronous_are_behind(const Sink* sink) noexcept nogil:
    while sink != NULL:
        if sink.synchronous and sink_backlog(sink):
            return True
        sink = sink.next
    return False


# The line just composed at the end of `out` belongs to the record with this sequence number.
cdef inline void sink_mark(Sink* sink, size_t line_start, uint64_t sequence) noexcept nogil:
    sink.appended += sink.out.size - line_start
    marks_push(&sink.marks, sequence, sink.appended)
    if sequence & NOTICE_BIT:
        sink.marks.notices += 1


# Sequence number of the oldest record that this sink still holds, or `otherwise`.
cdef inline uint64_t sink_oldest(const Sink* sink, uint64_t otherwise) noexcept nogil:
    if sink.marks.first != sink.marks.last:
        return sink.marks.mark[sink.marks.first].sequence & ~NOTICE_BIT
    if sink.staged_marks.first != sink.staged_marks.last:
        return sink.staged_marks.mark[sink.staged_marks.first].sequence
    return otherwise


cdef inline uint64_t sink_written_offset(const Sink* sink) noexcept nogil:
    return sink.appended - (sink.out.size - sink.start)


# Written bytes at the front of the buffer go, but for the beginning of a line that is partly written: a sink that is
# always a little behind must not make its buffer grow.
cdef inline void sink_compact(Sink* sink) noexcept nogil:
    cdef size_t keep = <size_t> (sink_written_offset(sink) - sink.boundary)
    cdef size_t gone = sink.start - keep
    if gone > 65536 and gone > sink.out.size - gone:
        memmove(sink.out.data, sink.out.data + gone, sink.out.size - gone)
        sink.out.size -= gone
        sink.start = keep


cdef inline void sink_advance(Sink* sink, size_t size) noexcept nogil:
    cdef uint64_t written
    sink.start += size
    sink.bytes_written += size
    sink.file_size += size
    written = sink_written_offset(sink)
    if sink.start == sink.out.size:
        sink.start = 0
        sink.out.size = 0
        sink.boundary = written
        sink.records += sink.marks.last - sink.marks.first - sink.marks.notices
        marks_clear(&sink.marks)
        marks_clear(&sink.told)
        buffer_trim(&sink.out, 4 * sink.backlog_limit)
        return
    while sink.marks.first != sink.marks.last and sink.marks.mark[sink.marks.first].end <= written:
        sink.boundary = sink.marks.mark[sink.marks.first].end
        if sink.marks.mark[sink.marks.first].sequence & NOTICE_BIT:
            sink.marks.notices -= 1
            sink.told.first += 1
        else:
            sink.records += 1
        sink.marks.first += 1
    sink_compact(sink)


cdef inline int64_t sink_write_once(Sink* sink, const char* data, size_t size) noexcept nogil:
    cdef int64_t outcome
    if sink.outcome_next < sink.outcome_count:
        outcome = sink.outcomes[sink.outcome_next]
        sink.outcome_next += 1
        if outcome <= 0:
            return outcome
        size = size if size < <size_t> outcome else <size_t> outcome
    return fd_write_raw(sink.fd, data, size, sink.fd_kind)


# How much to hand over in one call: everything, but to a pipe or terminal at most what cannot block, in whole lines; and to a
# socket of packets one record.
cdef inline size_t sink_chunk(const Sink* sink) noexcept nogil:
    cdef size_t pending = sink.out.size - sink.start
    cdef uint64_t written, last
    cdef uint32_t i
    if sink.fd_kind == FD_FILE or (pending <= PIPE_CHUNK and sink.fd_kind != FD_DATAGRAM):
        return pending
    written = sink_written_offset(sink)
    if sink.fd_kind == FD_DATAGRAM:
        return pending if sink.marks.first == sink.marks.last else <size_t> (sink.marks.mark[sink.marks.first].end - written)
    last = 0
    for i in range(sink.marks.first, sink.marks.last):
        if sink.marks.mark[i].end - written > PIPE_CHUNK:
            break
        last = sink.marks.mark[i].end - written
    return <size_t> last if last else PIPE_CHUNK


# The sink's progress is kept in the slot that was made for it there; without one, in nothing finer than whole releases.
cdef inline void sink_use_spool(Sink* sink, Spool* spool) noexcept nogil:
    cdef int i
    sink.spool = NULL
    sink.slot = NULL
    sink.staged_until = 0
    for i in range(SPOOL_SLOTS):
        if spool.header.slot[i].sink_id == sink.id:
            sink.spool = spool
            sink.slot = &spool.header.slot[i]


cdef inline uint64_t sequence_after(const Mark* mark) noexcept nogil:
    if mark.sequence & NOTICE_BIT:
        return mark.sequence & ~NOTICE_BIT
    return mark.sequence + 1


# With a spool: as many whole lines before `limit` as fit into its staging (one at least), staged before they are written.
cdef inline size_t sink_stage(Sink* sink, uint64_t limit) noexcept nogil:
    cdef uint64_t written = sink_written_offset(sink)
    cdef uint64_t place[3]
    cdef uint64_t following = 0
    cdef uint64_t until = written
    cdef uint32_t i
    if sink.staged_until > written:
        return <size_t> (sink.staged_until - written)
    for i in range(sink.marks.first, sink.marks.last):
        if sink.marks.mark[i].end > limit or (sink.marks.mark[i].end - written > STAGE_BYTES and until > written):
            break
        until = sink.marks.mark[i].end
        following = sequence_after(&sink.marks.mark[i])
    if until == written:
        return sink.out.size - sink.start  # no memory was left for the marks
    if fd_place(sink.fd, place):
        slot_begin(sink.spool, sink.slot, sink.out.data + sink.start, until - written, following, place)
    sink.staged_until = until
    return <size_t> (until - written)


# Before the rest of a staged write is given up, or goes to another file.
cdef inline void sink_unstage(Sink* sink) noexcept nogil:
    if sink.slot != NULL and sink.marks.first != sink.marks.last:
        slot_cancel(sink.spool, sink.slot, sink.marks.mark[sink.marks.first].sequence & ~NOTICE_BIT)
    sink.staged_until = 0


cdef inline int sink_note_error(Sink* sink, int error) noexcept nogil:
    sink.last_error = error
    sink.write_errors += 1
    if error == EBADF and sink.path[0]:
        # Somebody closed our descriptor, and the number may become another file's any moment.
        sink.fd = -1
    return WRITE_FAILED


# A record that is too large for one packet: its beginning is better than nothing. It is told, and counts as written.
cdef inline int64_t sink_shorten(Sink* sink, size_t size) noexcept nogil:
    cdef int64_t sent = fd_send_shortened(sink.fd, sink.out.data + sink.start, size)
    if sent <= 0:
        return sent
    sink_note_error(sink, EMSGSIZE)
    sink.work |= WORK_ERROR
    return <int64_t> size


# Writes up to this offset, in bytes ever appended.
cdef inline int sink_write_to(Sink* sink, uint64_t end) noexcept nogil:
    cdef int64_t result
    cdef size_t size
    while sink_written_offset(sink) < end:
        if sink.fd_kind != FD_FILE and not fd_writable(sink.fd):
            return WRITE_BLOCKED
        size = sink_chunk(sink) if sink.slot == NULL else sink_stage(sink, end)
        if size > end - sink_written_offset(sink):
            size = <size_t> (end - sink_written_offset(sink))
        result = sink_write_once(sink, sink.out.data + sink.start, size)
        if result == -EMSGSIZE and sink.fd_kind == FD_DATAGRAM:
            result = sink_shorten(sink, size)
        if result > 0:
            sink.writes += 1
            sink_advance(sink, <size_t> result)
            if sink.slot != NULL and sink_written_offset(sink) >= sink.staged_until:
                slot_written(sink.spool, sink.slot)
        elif result == -EINTR:
            continue
        elif result == -EAGAIN or result == -EWOULDBLOCK or result == 0:
            return WRITE_BLOCKED
        else:
            return sink_note_error(sink, <int> -result)
    return WRITE_DONE


# The end of the last whole record that lies within `room` bytes, or of the first one: a line is not split, so one that
# alone is larger than the limit has a file of its own.
cdef inline uint64_t sink_fitting(const Sink* sink, int64_t room) noexcept nogil:
    cdef uint64_t written = sink_written_offset(sink)
    cdef uint64_t within = written + <uint64_t> (room if room > 0 else 0)
    cdef uint32_t low = sink.marks.first
    cdef uint32_t high = sink.marks.last
    cdef uint32_t middle
    while low < high:
        middle = (low + high) // 2
        if sink.marks.mark[middle].end <= within:
            low = middle + 1
        else:
            high = middle
    if low > sink.marks.first:
        return sink.marks.mark[low - 1].end
    if low < sink.marks.last and (sink.file_size == 0 or written != sink.boundary):
        return sink.marks.mark[low].end
    return written


# How far the present file may be written, in bytes ever appended.
cdef inline uint64_t sink_file_end(const Sink* sink) noexcept nogil:
    cdef uint64_t end = sink.appended
    cdef uint64_t fitting
    if sink.rotate_retry_ns:
        return end
    if sink.turn < end:
        end = sink.turn
    if sink.size_limit and sink.file_size + <int64_t> (end - sink_written_offset(sink)) > sink.size_limit:
        fitting = sink_fitting(sink, sink.size_limit - sink.file_size)
        if fitting < end:
            end = fitting
    return end


# What somebody left without a newline at the file's end (killed in the middle of a write) gets one before the first line. If
# the file has grown since, he lives, or another one has seen to it.
cdef inline int sink_end_torn_line(Sink* sink) noexcept nogil:
    cdef int64_t result
    if fd_size(sink.fd) == sink.torn_size:
        result = -EINTR
        while result == -EINTR:
            result = sink_write_once(sink, b"\n", 1)
        if result <= 0:
            return sink_note_error(sink, <int> -result) if result else WRITE_BLOCKED
        sink.file_size += 1
    sink.torn_size = -1
    return WRITE_DONE


cdef inline int sink_write_file(Sink* sink) noexcept nogil:
    cdef int status
    cdef uint64_t written
    if sink.torn_size >= 0:
        status = sink_end_torn_line(sink)
        if status != WRITE_DONE:
            return status
    if sink.size_limit:
        # Others may write to it too, or truncate it.
        sink.file_size = fd_size(sink.fd)
    status = sink_write_to(sink, sink_file_end(sink))
    if status != WRITE_DONE or sink.rotate_retry_ns:
        return status
    written = sink_written_offset(sink)
    if written >= sink.turn or written < sink.appended:
        sink.work |= WORK_ROTATE
        return WRITE_PYTHON
    return WRITE_DONE


# Several processes rotate this file: hold the lock that keeps it in place, and see that it is still ours. Exclusively,
# so that all see what the others have written, and nobody exceeds the limit.
cdef inline int sink_write_shared(Sink* sink) noexcept nogil:
    cdef int status
    cdef int error = fd_lock_briefly(sink.lock_fd)
    if error == EWOULDBLOCK:
        return WRITE_BLOCKED
    if not fd_is_path(sink.fd, sink.path):
        sink.work |= WORK_REOPEN
        status = WRITE_PYTHON
    else:
        status = sink_write_file(sink)
    if error == 0:
        fd_unlock(sink.lock_fd)
    return status


cdef inline int sink_write(Sink* sink) noexcept nogil:
    if sink.work & (WORK_ROTATE | WORK_REOPEN | WORK_STREAM) or sink.busy == BUSY_TEXT:
        return WRITE_PYTHON
    if sink.out.size == sink.start and sink.turn == NO_TURN:
        return WRITE_DONE
    if sink.target == TARGET_STREAM:
        sink.work |= WORK_STREAM
        return WRITE_PYTHON
    if sink.fd < 0:
        sink.work |= WORK_REOPEN
        return WRITE_PYTHON
    if sink.lock_fd >= 0:
        return sink_write_shared(sink)
    if sink.watched and not fd_is_path(sink.fd, sink.path):
        sink.work |= WORK_REOPEN
        return WRITE_PYTHON
    return sink_write_file(sink)


# Is a record partly in the file? Then its rest must follow before anything else.
cdef inline bint sink_is_mid_record(const Sink* sink) noexcept nogil:
    return sink.marks.first != sink.marks.last and sink_written_offset(sink) != sink.boundary


# The file is another one now: a line that is partly in the old one is written to it from its beginning.
cdef inline void sink_rewind(Sink* sink) noexcept nogil:
    if sink_is_mid_record(sink):
        sink.start -= <size_t> (sink_written_offset(sink) - sink.boundary)


# Forgets the records that are buffered; the rest of one that is partly written stays. The caller has counted them; what
# notices among them would have told is untold again.
cdef inline void sink_forget(Sink* sink, bint mid_record) noexcept nogil:
    cdef uint64_t keep_to
    cdef uint32_t kept = sink.told.first
    cdef Mark half
    sink_unstage(sink)
    if mid_record and sink.marks.mark[sink.marks.first].sequence & NOTICE_BIT:
        kept += 1
    while sink.told.last != kept:
        sink.told.last -= 1
        sink.lost_untold += sink.told.mark[sink.told.last].sequence
    if mid_record:
        half = sink.marks.mark[sink.marks.first]
        keep_to = half.end - sink_written_offset(sink)
        sink.appended = half.end
        sink.out.size = sink.start + <size_t> keep_to
        marks_clear(&sink.marks)
        marks_push(&sink.marks, half.sequence, half.end)
        sink.marks.notices = 1 if half.sequence & NOTICE_BIT else 0
    else:
        sink.appended -= sink.out.size - sink.start
        sink.out.size = 0
        sink.start = 0
        marks_clear(&sink.marks)
    if sink.turn != NO_TURN:
        sink.turn = sink.appended
    sink.staged.size = 0
    sink.staged_start = 0
    marks_clear(&sink.staged_marks)
