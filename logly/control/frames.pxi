# The messages of a batch for a socket. The layout has written each of them as a frame (`end_message` in layout/wire.pxd), so a
# batch is taken apart without looking into the messages, and they are sent without the GIL.

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from logly.system.datagrams cimport (
    DATAGRAMS_AT_ONCE, EAGAIN, EINTR, EMSGSIZE, ENOBUFS, Datagram, await_room, hand_over, pause_for,
    send_datagrams,
)

cdef enum:
    ROOM_PAUSE_NS = 1000000    # where the kernel has no memory for a datagram, and no event says when it has


cdef class Frames:
    """The messages of a batch, in their order.

    Args:
        lines: whole frames.

    Raises:
        ValueError: they are not.
    """

    cdef readonly bytes lines
    cdef Datagram* message
    cdef size_t count

    def __cinit__(self, bytes lines not None):
        cdef const char* data = PyBytes_AS_STRING(lines)
        cdef size_t size = <size_t> PyBytes_GET_SIZE(lines)
        cdef size_t room = size // 3 + 1  # no frame is shorter
        cdef size_t at = 0, length
        self.lines = lines
        self.message = <Datagram*> malloc(room * sizeof(Datagram))
        if self.message == NULL:
            raise MemoryError
        while at < size:
            length = 0
            while at < size and c'0' <= data[at] <= c'9' and length <= size:
                length = length * 10 + <size_t> (data[at] - c'0')
                at += 1
            # A space, the message, and a line break
            if size - at < 2 or length > size - at - 2 or data[at] != c' ' or data[at + 1 + length] != c'\n':
                raise ValueError("a batch that has no whole frames")
            self.message[self.count].data = data + at + 1
            self.message[self.count].size = length
            self.count += 1
            at += length + 2

    def __dealloc__(self):
        free(self.message)

    def __len__(self):
        return self.count

    cdef size_t begin(self, size_t number) noexcept:
        """Where this frame begins; of the number behind the last, where the lines end."""
        if number == 0:
            return 0
        return <size_t> (self.message[number - 1].data - PyBytes_AS_STRING(self.lines)) + self.message[number - 1].size + 1

    def message_at(self, size_t number):
        """The message with this number, from 0 on."""
        if number >= self.count:
            raise IndexError(number)
        return PyBytes_FromStringAndSize(self.message[number].data, <Py_ssize_t> self.message[number].size)

    def begin_of(self, size_t number):
        """Where the frame with this number begins in `lines`."""
        return self.begin(min(number, self.count))

    cdef size_t fitting(self, size_t number, size_t largest) noexcept nogil:
        """How many messages from this number on are not larger."""
        cdef size_t after = number
        while after < self.count and after - number < DATAGRAMS_AT_ONCE and self.message[after].size <= largest:
            after += 1
        return after - number

    def lines_before(self, size_t number):
        """How many lines the frames before this number have, as `RetryBatch.again` counts them."""
        return self.lines.count(b"\n", 0, self.begin(min(number, self.count)))

    def stream(self, size_t number, size_t size):
        """The frames from this number on as a stream has them (RFC 6587, section 3.4.1): without the line breaks between.

        Returns: the bytes, of which only the last frame begins after `size`, and the number of the next frame.
        """
        cdef size_t after = number, total = 0, start
        cdef char* to
        cdef size_t part
        while after < self.count and total < size:
            total += self.begin(after + 1) - self.begin(after) - 1
            after += 1
        made = PyBytes_FromStringAndSize(NULL, <Py_ssize_t> total)
        to = PyBytes_AS_STRING(made)
        while number < after:
            start = self.begin(number)
            part = self.begin(number + 1) - start - 1
            memcpy(to, PyBytes_AS_STRING(self.lines) + start, part)
            to += part
            number += 1
        return made, after

    def whole(self, size_t number, size_t size):
        """The number of the frame behind those that are whole in the first `size` bytes of `stream(number, ...)`."""
        cdef size_t part
        while number < self.count:
            part = self.begin(number + 1) - self.begin(number) - 1
            if part > size:
                break
            size -= part
            number += 1
        return number

    def send(self, int fd, size_t number, size_t largest, int timeout_ms, int64_t pause_ns):
        """Sends messages as datagrams, from this number on, until one cannot be sent.

        Args:
            fd: a connected socket.
            number: of the first message.
            largest: the most bytes that a message may have; a larger one ends it with EMSGSIZE.
            timeout_ms: how long to wait for a receiver that takes nothing.
            pause_ns: after each DATAGRAMS_AT_ONCE, for receivers that cannot slow a sender down. If it is not 0, each message
                is a system call of its own: of several in one, only the first can have an error, and no other one is told.

        Returns: the number of the next message, and errno: 0 if there is none, EAGAIN after the timeout.
        """
        cdef int64_t sent = 0
        cdef int found = 1
        cdef size_t count
        with nogil:
            while number < self.count and found > 0:
                count = self.fitting(number, largest)
                if count == 0:
                    sent = -EMSGSIZE
                    break
                sent = send_datagrams(fd, self.message + number, 1 if pause_ns else count)
                if sent >= 0:
                    number += <size_t> sent
                    pause_for(pause_ns if number % DATAGRAMS_AT_ONCE == 0 and number < self.count else 0)
                elif sent == -EAGAIN or sent == -ENOBUFS:
                    found = await_room(fd, timeout_ms)
                    timeout_ms -= 1 if sent == -ENOBUFS else 0
                    pause_for(ROOM_PAUSE_NS if sent == -ENOBUFS else 0)
                    if timeout_ms < 0:
                        found = 0
                elif sent != -EINTR:
                    break
        if number >= self.count:
            return number, 0
        return number, EAGAIN if found == 0 else -(found if found < 0 else sent)

    def hand_over(self, int fd, size_t number, int timeout_ms):
        """Hands a message over as a sealed file in memory. Returns errno: 0 if that has been done, EAGAIN after the timeout."""
        cdef int code = EAGAIN
        if number >= self.count:
            raise IndexError(number)
        with nogil:
            if await_room(fd, timeout_ms) > 0:
                code = hand_over(fd, self.message[number].data, self.message[number].size)
        return code
