"""Writes a sink's buffer to its descriptor, in whole lines, and notes the progress in a spool."""

from libc.stdint cimport int64_t, uint32_t, uint64_t, uint8_t

from logly.flusher.batch cimport batch_want
from logly.flusher.marks cimport LATE_BIT, NOTICE_BIT, Mark, marks_first
from logly.flusher.sink cimport (
    BUSY_TEXT, NO_ROTATION, TARGET_BATCH, TARGET_STREAM, WORK_ERROR, WORK_LOST, WORK_REOPEN, WORK_ROTATE, WORK_STREAM,
    WRITE_BLOCKED, WRITE_DONE, WRITE_FAILED, WRITE_PYTHON, Sink, WriteScript, sink_advance, sink_written_offset,
)
from logly.spool.format cimport SPOOL_SLOTS, STAGE_BYTES, Spool, slot_begin, slot_written
from logly.system.fd cimport (
    EAGAIN, EBADF, EINTR, EMSGSIZE, EWOULDBLOCK, FD_DATAGRAM, FD_FILE, fd_is_file, fd_is_path, fd_lock_briefly,
    fd_send_shortened, fd_size, fd_stat, fd_unlock, fd_writable, fd_write_raw,
)
from logly.system.probe cimport IS_PROBE

cdef enum:
    PIPE_CHUNK = 4096      # PIPE_BUF: written as one piece, and without blocking where poll says writable
    PAUSE_NS = 20000       # between two synchronous writes, after which the descriptor is looked at, and without a pause:
    PROOF_NS = 10000000


cdef inline int64_t sink_write_once(Sink* sink, const char* data, size_t size) noexcept nogil:
    cdef WriteScript* script = sink.script
    cdef int64_t outcome
    if IS_PROBE and script != NULL and script.next < script.count:
        outcome = script.outcomes[script.next]
        script.next += 1
        if outcome <= 0:
            return outcome
        size = size if size < <size_t> outcome else <size_t> outcome
    return fd_write_raw(sink.file.fd, data, size, sink.file.kind)


# How many bytes to write in one call. A file gets everything. A pipe or terminal gets at most what cannot block, in whole lines.
# A datagram socket gets one record.
cdef inline size_t sink_chunk(const Sink* sink) noexcept nogil:
    cdef size_t pending = sink.pending.text.size - sink.pending.start
    cdef uint64_t written, last
    cdef const Mark* first
    cdef uint32_t i
    if sink.file.kind == FD_FILE or (pending <= PIPE_CHUNK and sink.file.kind != FD_DATAGRAM):
        return pending
    written = sink_written_offset(sink)
    if sink.file.kind == FD_DATAGRAM:
        first = marks_first(&sink.pending.marks)
        return pending if first == NULL else <size_t> (first.end - written)
    last = 0
    for i in range(sink.pending.marks.first, sink.pending.marks.last):
        if sink.pending.marks.mark[i].end - written > PIPE_CHUNK:
            break
        last = sink.pending.marks.mark[i].end - written
    return <size_t> last if last else PIPE_CHUNK


# From now on the sink's progress is kept in its slot of this spool. Without a slot, only what every sink has written is known.
cdef inline void sink_use_spool(Sink* sink, Spool* spool) noexcept nogil:
    cdef int i
    sink.progress.spool = NULL
    sink.progress.slot = NULL
    sink.progress.until = 0
    for i in range(SPOOL_SLOTS):
        if spool.header.slot[i].sink_id == sink.id:
            sink.progress.spool = spool
            sink.progress.slot = &spool.header.slot[i]


# Where the progress of a sink is when it has written this mark's line: the number of the next record, or of the next late one.
cdef inline void pass_mark(const Mark* mark, uint64_t* following, uint64_t* late_following) noexcept nogil:
    if mark.sequence & NOTICE_BIT:
        following[0] = mark.sequence & ~NOTICE_BIT
    elif mark.sequence & LATE_BIT:
        late_following[0] = (mark.sequence & ~LATE_BIT) + 1
    else:
        following[0] = mark.sequence + 1


# With a spool: stages as many whole lines before `limit` as fit into the slot (one at least) before they are written.
cdef inline size_t sink_stage(Sink* sink, uint64_t limit) noexcept nogil:
    cdef uint64_t written = sink_written_offset(sink)
    cdef uint64_t place[3]
    cdef uint64_t following = sink.progress.spool.base  # of late records alone: nothing new
    cdef uint64_t late_following = 0
    cdef uint64_t until = written
    cdef uint32_t i
    if sink.progress.until > written:
        return <size_t> (sink.progress.until - written)
    for i in range(sink.pending.marks.first, sink.pending.marks.last):
        if sink.pending.marks.mark[i].end > limit or (sink.pending.marks.mark[i].end - written > STAGE_BYTES and until > written):
            break
        until = sink.pending.marks.mark[i].end
        pass_mark(&sink.pending.marks.mark[i], &following, &late_following)
    if until == written:
        return sink.pending.text.size - sink.pending.start  # no memory was left for the marks
    if fd_stat(sink.file.fd, place):
        slot_begin(
            sink.progress.spool, sink.progress.slot, sink.pending.text.data + sink.pending.start, until - written, following,
            late_following, place,
        )
    sink.progress.until = until
    return <size_t> (until - written)


# Other code may close every descriptor of the process, as a daemoniser does. The program's own files then get the numbers, and
# with them our lines and our locks. So the descriptor is looked at before a batch is written. A synchronous sink writes each
# record, so there it is looked at after a pause only: a thread that closes and opens files does not log meanwhile.
cdef inline bint sink_is_to_be_proven(const Sink* sink, int64_t now_ns) noexcept nogil:
    if sink.handler.is_served:
        return not sink.handler.has_asked  # the program may put another file under its stream, by dup2, and log at once
    if not sink.file.is_ours or now_ns < sink.file.trusted_ns:
        return False
    return not sink.synchronous or now_ns - sink.file.used_ns >= PAUSE_NS or now_ns - sink.file.proven_ns >= PROOF_NS


cdef inline bint sink_has_its_file(const Sink* sink) noexcept nogil:
    if not fd_is_file(sink.file.fd, sink.file.device, sink.file.inode):
        return False
    if sink.handler.is_served and sink.handler.source >= 0:
        return fd_is_file(sink.handler.source, sink.file.device, sink.file.inode)
    return sink.file.lock_fd < 0 or fd_is_file(sink.file.lock_fd, sink.file.lock_device, sink.file.lock_inode)


# Returns False when the descriptor is not ours any more. Python then opens the file again by its name.
cdef inline bint sink_prove_file(Sink* sink, int64_t now_ns) noexcept nogil:
    if sink_is_to_be_proven(sink, now_ns):
        if not sink_has_its_file(sink):
            sink.file.fd = sink.file.lock_fd = -1
            sink.python.work |= WORK_LOST | WORK_REOPEN
            return False
        sink.file.proven_ns = now_ns
    sink.file.used_ns = now_ns
    return True


cdef inline int sink_note_error(Sink* sink, int error) noexcept nogil:
    sink.trouble.error = error
    sink.tally.write_errors += 1
    if error == EBADF and sink.file.is_ours:
        # The program closed our descriptor, and the number may become another file's at any moment.
        sink.file.fd = -1
    return WRITE_FAILED


# Sends the beginning of a record that is too large for one packet, which is better than nothing. The error is reported, and the
# record counts as written.
cdef inline int64_t sink_shorten(Sink* sink, size_t size) noexcept nogil:
    cdef int64_t sent = fd_send_shortened(sink.file.fd, sink.pending.text.data + sink.pending.start, size)
    if sent <= 0:
        return sent
    sink_note_error(sink, EMSGSIZE)
    sink.python.work |= WORK_ERROR
    return <int64_t> size


# Writes up to the offset `end`, counted in bytes ever appended.
cdef inline int sink_write_to(Sink* sink, uint64_t end) noexcept nogil:
    cdef int64_t result
    cdef size_t size
    while sink_written_offset(sink) < end:
        if sink.file.kind != FD_FILE and not fd_writable(sink.file.fd):
            return WRITE_BLOCKED
        size = sink_chunk(sink) if sink.progress.slot == NULL else sink_stage(sink, end)
        if size > end - sink_written_offset(sink):
            size = <size_t> (end - sink_written_offset(sink))
        result = sink_write_once(sink, sink.pending.text.data + sink.pending.start, size)
        if result == -EMSGSIZE and sink.file.kind == FD_DATAGRAM:
            result = sink_shorten(sink, size)
        if result > 0:
            sink.tally.writes += 1
            sink_advance(sink, <size_t> result)
            if sink.progress.slot != NULL and sink_written_offset(sink) >= sink.progress.until:
                slot_written(sink.progress.spool, sink.progress.slot)
        elif result == -EINTR:
            continue
        elif result == -EAGAIN or result == -EWOULDBLOCK or result == 0:
            return WRITE_BLOCKED
        else:
            return sink_note_error(sink, <int> -result)
    return WRITE_DONE


# The end of the last whole record that fits into `room` bytes. In an empty file, or within a record, it is at least the end of
# the first record: a line is not split, so a line that is larger than the limit has a file of its own.
cdef inline uint64_t sink_fitting(const Sink* sink, int64_t room) noexcept nogil:
    cdef uint64_t written = sink_written_offset(sink)
    cdef uint64_t within = written + <uint64_t> (room if room > 0 else 0)
    cdef uint32_t low = sink.pending.marks.first
    cdef uint32_t high = sink.pending.marks.last
    cdef uint32_t middle
    while low < high:
        middle = (low + high) // 2
        if sink.pending.marks.mark[middle].end <= within:
            low = middle + 1
        else:
            high = middle
    if low > sink.pending.marks.first:
        return sink.pending.marks.mark[low - 1].end
    if low < sink.pending.marks.last and (sink.file.size == 0 or written != sink.pending.boundary):
        return sink.pending.marks.mark[low].end
    return written


cdef inline uint64_t characters(const char* text, uint64_t size) noexcept nogil:
    cdef uint64_t count = 0, i
    for i in range(size):
        count += (<uint8_t> text[i] & 0xC0) != 0x80
    return count


# The rule of `RotatingFileHandler`, for a sink that serves one: before each line the file's end, in bytes, and the length of the
# text with a newline, in characters, are compared with `maxBytes`. Returns where the first line begins for which it rolls over.
# Characters are only counted of a line that is too long in bytes. A line that is partly written, and one for which there has
# been a rollover, go into the present file.
cdef inline uint64_t handler_fitting(const Sink* sink) noexcept nogil:
    cdef uint64_t written = sink_written_offset(sink)
    cdef uint64_t limit = <uint64_t> sink.file.size_limit
    cdef uint64_t size = <uint64_t> (sink.file.size if sink.file.size > 0 else 0)
    cdef uint64_t begin = written
    cdef uint64_t text
    cdef const Mark* mark
    cdef uint32_t i
    if sink.file.kind != FD_FILE or size + (sink.pending.appended - written) + 1 < limit:
        return sink.pending.appended
    for i in range(sink.pending.marks.first, sink.pending.marks.last):
        mark = &sink.pending.marks.mark[i]
        if begin != sink.handler.rolled_at and (begin != written or written == sink.pending.boundary):
            text = mark.end - begin - min(<uint64_t> sink.handler.terminator, mark.end - begin)
            if size + (begin - written) + text + 1 >= limit and (size + (begin - written) or sink.handler.rolls_empty):
                text = characters(sink.pending.text.data + sink.pending.start + (begin - written), text)
                if size + (begin - written) + text + 1 >= limit:
                    return begin
        begin = mark.end
    return sink.pending.appended


# How far the present file may be written, counted in bytes ever appended.
cdef inline uint64_t sink_file_end(const Sink* sink) noexcept nogil:
    cdef uint64_t end = sink.pending.appended
    cdef uint64_t fitting
    if sink.rotation.retry_ns:
        return end
    if sink.rotation.begins_at < end:
        end = sink.rotation.begins_at
    if sink.handler.is_served and sink.file.size_limit:
        return min(end, handler_fitting(sink))
    if sink.file.size_limit and sink.file.size + <int64_t> (end - sink_written_offset(sink)) > sink.file.size_limit:
        fitting = sink_fitting(sink, sink.file.size_limit - sink.file.size)
        if fitting < end:
            end = fitting
    return end


# Ends a torn line, which a process that was killed in the middle of a write left without a newline, before our first line is
# written. If the file has grown since it was opened, that process lives, or another one has ended the line.
cdef inline int sink_end_torn_line(Sink* sink) noexcept nogil:
    cdef int64_t result
    if fd_size(sink.file.fd) == sink.file.torn_size:
        result = -EINTR
        while result == -EINTR:
            result = sink_write_once(sink, b"\n", 1)
        if result <= 0:
            return sink_note_error(sink, <int> -result) if result else WRITE_BLOCKED
        sink.file.size += 1
    sink.file.torn_size = -1
    return WRITE_DONE


cdef inline int sink_write_file(Sink* sink) noexcept nogil:
    cdef int status
    cdef uint64_t written
    if sink.file.torn_size >= 0:
        status = sink_end_torn_line(sink)
        if status != WRITE_DONE:
            return status
    if sink.file.size_limit:
        # Other processes may write to the file too, or truncate it.
        sink.file.size = fd_size(sink.file.fd)
    status = sink_write_to(sink, sink_file_end(sink))
    if status != WRITE_DONE or sink.rotation.retry_ns:
        return status
    written = sink_written_offset(sink)
    if written >= sink.rotation.begins_at or written < sink.pending.appended:
        sink.python.work |= WORK_ROTATE
        return WRITE_PYTHON
    return WRITE_DONE


# For a file that several processes rotate. The lock keeps the file in place while we check that the path still names it and
# write. It is exclusive, so that each process sees what the others have written, and none exceeds the limit.
cdef inline int sink_write_shared(Sink* sink) noexcept nogil:
    cdef int status
    cdef int error = fd_lock_briefly(sink.file.lock_fd)
    if error == EWOULDBLOCK:
        return WRITE_BLOCKED
    if not fd_is_path(sink.file.fd, sink.file.path):
        sink.python.work |= WORK_REOPEN
        status = WRITE_PYTHON
    else:
        status = sink_write_file(sink)
    if error == 0:
        fd_unlock(sink.file.lock_fd)
    return status


cdef inline int sink_write(Sink* sink, int64_t now_ns) noexcept nogil:
    if sink.python.work & (WORK_ROTATE | WORK_REOPEN | WORK_STREAM) or sink.python.busy == BUSY_TEXT:
        return WRITE_PYTHON
    if sink.pending.text.size == sink.pending.start and sink.rotation.begins_at == NO_ROTATION:
        return WRITE_DONE
    if sink.target == TARGET_BATCH:
        batch_want(sink)
        return WRITE_PYTHON
    if sink.target == TARGET_STREAM:
        sink.python.work |= WORK_STREAM
        return WRITE_PYTHON
    if sink.file.fd < 0:
        sink.python.work |= WORK_REOPEN
        return WRITE_PYTHON
    if not sink_prove_file(sink, now_ns):
        return WRITE_PYTHON
    if sink.file.lock_fd >= 0:
        return sink_write_shared(sink)
    if sink.file.watched and not sink.handler.has_asked and not fd_is_path(sink.file.fd, sink.file.path):
        sink.python.work |= WORK_REOPEN
        return WRITE_PYTHON
    # A handler may go on with a file that its path does not name. It is asked before each write, but once.
    sink.handler.has_asked = False
    return sink_write_file(sink)
