"""The clock: a time stamp of a few nanoseconds on the caller's side, turned into wall-clock time on the flusher's.

A stamp is in *ticks*. Where the kernel itself trusts the processor's time stamp counter (TSC), ticks are that counter,
because reading it costs a fraction of `clock_gettime`; elsewhere they are nanoseconds since the epoch already.

The flusher converts ticks to nanoseconds. Twice a second it takes an *anchor*: the same moment in ticks and in
nanoseconds. A stamp is converted along the line through the two latest anchors. A stamp that is older than both is
converted along a line whose slope comes from the longest baseline there is. Two rules keep a short baseline from spoiling
a long extrapolation. A line is never used for longer past its last anchor than it is long, so the first anchors come at
0.1, 0.2, 0.4 ... ms. And a clock step (NTP, an administrator) starts a new line instead of bending the old one. The
design follows quill's RdtscClock, which calibrates every 500 ms as well.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memset

cdef extern from *:
    """
    #include <stdint.h>
    #include <stdio.h>
    #include <stdlib.h>
    #include <string.h>
    #include <time.h>
    #ifdef _WIN32
    #ifndef NOMINMAX
    #define NOMINMAX
    #endif
    #ifndef WIN32_LEAN_AND_MEAN
    #define WIN32_LEAN_AND_MEAN
    #endif
    #include <windows.h>
    #endif

    #if LOGLY_PROBE
    static int64_t logly_test_clock_ns = 0;  // 0: the real one
    #endif

    #if defined(__x86_64__) && defined(__linux__)
    #define LOGLY_MAY_USE_TSC 1
    #include <cpuid.h>
    #include <x86intrin.h>
    #define LOGLY_READ_TSC() ((uint64_t)__rdtsc())
    #else
    #define LOGLY_MAY_USE_TSC 0
    #define LOGLY_READ_TSC() ((uint64_t)0)
    #endif

    // Written once, by clock_init at import, before any stamp is taken.
    static int logly_clock_is_tsc = 0;

    static inline int64_t logly_realtime_ns(void) {
    #ifdef _WIN32
        FILETIME now;
        GetSystemTimePreciseAsFileTime(&now);  // in 100 ns since 1601
        int64_t ticks = (int64_t)(((uint64_t)now.dwHighDateTime << 32) | now.dwLowDateTime);
        return (ticks - 116444736000000000LL) * 100;
    #else
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    #endif
    }

    static inline int64_t logly_monotonic_ns(void) {
    #ifdef _WIN32
        LARGE_INTEGER count, frequency;
        QueryPerformanceFrequency(&frequency);
        QueryPerformanceCounter(&count);
        return count.QuadPart / frequency.QuadPart * 1000000000
            + count.QuadPart % frequency.QuadPart * 1000000000 / frequency.QuadPart;
    #else
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    #endif
    }

    #if LOGLY_MAY_USE_TSC
    // The kernel compares the TSC with other clocks and stops using it when processors disagree about it. Its judgement
    // is the only reliable one, most of all in virtual machines.
    static int logly_kernel_trusts_tsc(void) {
        char name[16] = "";
        FILE* file = fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "re");
        if (file == NULL) return 0;
        if (fgets(name, sizeof name, file) == NULL) name[0] = 0;
        fclose(file);
        return strcmp(name, "tsc\\n") == 0;
    }

    // Invariant TSC: it ticks at one rate in every power state.
    static int logly_tsc_is_invariant(void) {
        unsigned int eax, ebx, ecx, edx;
        return __get_cpuid(0x80000007, &eax, &ebx, &ecx, &edx) && (edx >> 8 & 1);
    }

    static int logly_tsc_is_usable(void) { return logly_tsc_is_invariant() && logly_kernel_trusts_tsc(); }
    #else
    static int logly_tsc_is_usable(void) { return 0; }
    #endif

    static void logly_clock_init(void) {
        const char* wanted = getenv("LOGLY_CLOCK");
        logly_clock_is_tsc = (wanted == NULL || strcmp(wanted, "system") != 0) && logly_tsc_is_usable();
    }

    // The monotonic clock, up to LOGLY_RECENT_TICKS of the counter late, which is less than 0.1 ms. So a call that is counted in
    // a hot loop does not pay for the system's clock each time. The two variables belong to whoever holds the GIL. A counter that
    // has gone back (another processor, a suspended machine) counts as far ahead.
    #define LOGLY_RECENT_TICKS (1u << 15)
    static inline int64_t logly_recent_ns(void) {
    #if LOGLY_PROBE
        if (logly_test_clock_ns) return logly_test_clock_ns;
    #endif
    #ifndef Py_GIL_DISABLED
        static uint64_t read_at_ticks = 0;
        static int64_t read_ns = 0;
        if (logly_clock_is_tsc) {
            uint64_t now = LOGLY_READ_TSC();
            if (now - read_at_ticks >= LOGLY_RECENT_TICKS) {
                read_at_ticks = now;
                read_ns = logly_monotonic_ns();
            }
            return read_ns;
        }
    #endif
        return logly_monotonic_ns();
    }

    // The stores of a new line come before the store of the index that makes it current, because another process may read
    // this memory after the process was killed.
    #if defined(_MSC_VER)
    #define LOGLY_CLOCK_PUBLISH(where, value) (MemoryBarrier(), *(volatile uint32_t*)(where) = (value))
    #else
    #define LOGLY_CLOCK_PUBLISH(where, value) __atomic_store_n((where), (value), __ATOMIC_RELEASE)
    #endif
    """
    bint logly_clock_is_tsc
    uint64_t LOGLY_READ_TSC() noexcept nogil
    int64_t logly_realtime_ns() noexcept nogil
    int64_t logly_monotonic_ns() noexcept nogil
    int64_t logly_recent_ns() noexcept nogil
    void logly_clock_init() noexcept nogil
    void LOGLY_CLOCK_PUBLISH(uint32_t* where, uint32_t value) noexcept nogil

cdef enum:
    ANCHOR_TRIES = 8
    ANCHOR_INTERVAL_NS = 500000000
    SHORTEST_BASELINE_NS = 100000
    JITTER_NS = 1000000
    # The fastest rate at which the kernel slews a clock under adjtime and ntpd, and the longest slew that is assumed.
    # A clock that deviates by more was set, not slewed.
    SLEW_PARTS_PER_MILLION = 500
    LONGEST_SLEW_S = 60


cdef struct Anchor:
    uint64_t ticks
    int64_t ns


# Two lines: through `latest` for stamps after `previous`, through `previous` for older ones.
cdef struct ClockLine:
    Anchor latest
    Anchor previous
    Anchor base               # where the long baseline starts: the first anchor after the last clock step
    double ns_per_tick        # from `previous` to `latest`
    double ns_per_tick_long   # from `base` to `latest`
    uint64_t refresh_ticks    # the line is accurate for this many ticks after `latest`


# This struct may live in a memory-mapped file and be read there after its process was killed at any instruction: it has no
# pointers, and every change is complete before it becomes current.
cdef struct ClockCalibration:
    uint32_t ticks_are_ns     # the fallback clock: conversion is the identity
    uint32_t current          # index of the line in use
    ClockLine lines[2]
    uint64_t last_ticks
    int64_t last_ns


# Called once, when the module is imported. LOGLY_CLOCK=system asks for the operating system's clock; "tsc" and any
# other value change nothing: the counter is used where it is safe.
cdef inline void clock_init() noexcept nogil:
    logly_clock_init()


# The time stamp of a record. The read is not serialized against the surrounding instructions, because rdtscp or lfence
# would double its cost. It is right to within some ten nanoseconds, and two threads cannot agree on more than that anyway.
cdef inline uint64_t clock_ticks() noexcept nogil:
    if logly_clock_is_tsc:
        return LOGLY_READ_TSC()
    return <uint64_t> logly_realtime_ns()


# Nanoseconds since the epoch, by the system's clock.
cdef inline int64_t clock_wall_ns() noexcept nogil:
    return logly_realtime_ns()


# For intervals: this clock is never set and never goes back.
cdef inline int64_t clock_monotonic_ns() noexcept nogil:
    return logly_monotonic_ns()


# The same, but up to 0.1 ms late. Only for the thread that holds the GIL, or on builds without one.
cdef inline int64_t clock_recent_ns() noexcept nogil:
    return logly_recent_ns()


# Takes several readings and keeps the one with the least time between its two tick counts: that one was disturbed least
# by an interrupt or by the hypervisor.
cdef inline Anchor anchor_take() noexcept nogil:
    cdef Anchor best
    cdef uint64_t before, after, narrowest = <uint64_t> -1
    cdef int64_t ns
    cdef int _try
    best.ticks = 0
    best.ns = 0
    for _try in range(ANCHOR_TRIES):
        before = LOGLY_READ_TSC()
        ns = logly_realtime_ns()
        after = LOGLY_READ_TSC()
        if after - before < narrowest:
            narrowest = after - before
            best.ticks = before + narrowest / 2
            best.ns = ns
    return best


cdef inline double slope_between(const Anchor* start, const Anchor* end) noexcept nogil:
    return <double> (end.ns - start.ns) / <double> (end.ticks - start.ticks)


# No processor counts at less than 0.5 or more than 20 GHz. A slope outside that range means that the clock was set between
# the two anchors.
cdef inline bint slope_is_plausible(double ns_per_tick) noexcept nogil:
    return 0.05 <= ns_per_tick <= 2


# A double holds the difference in ticks exactly (2**53 ticks are a month). It could not hold the time itself.
cdef inline int64_t along(const Anchor* anchor, double ns_per_tick, uint64_t ticks) noexcept nogil:
    return anchor.ns + <int64_t> (<double> <int64_t> (ticks - anchor.ticks) * ns_per_tick)


cdef inline int64_t clock_line_ns(const ClockLine* line, uint64_t ticks) noexcept nogil:
    if <int64_t> (ticks - line.previous.ticks) > 0:
        return along(&line.latest, line.ns_per_tick, ticks)
    return along(&line.previous, line.ns_per_tick_long, ticks)


cdef inline void clock_line_set_validity(ClockLine* line) noexcept nogil:
    cdef uint64_t interval = <uint64_t> (ANCHOR_INTERVAL_NS / line.ns_per_tick)
    cdef uint64_t length = line.latest.ticks - line.previous.ticks
    line.refresh_ticks = length if length < interval else interval


# The clock was set, or the counter restarted (a suspended machine). The earlier anchors no longer tell where the clock is,
# but they still tell the counter's rate. Older stamps keep the time they had before the step.
cdef inline void clock_line_restart(ClockLine* line, const Anchor* anchor) noexcept nogil:
    cdef bint forward = <int64_t> (anchor.ticks - line.latest.ticks) > 0
    # Two restarts in a row mean that the rate was wrong (a virtual machine moved to another host): measure it anew.
    if forward and line.base.ticks == line.latest.ticks and slope_is_plausible(slope_between(&line.latest, anchor)):
        line.ns_per_tick_long = slope_between(&line.latest, anchor)
    line.previous = line.latest if forward else anchor[0]
    line.latest = anchor[0]
    line.base = anchor[0]
    line.ns_per_tick = line.ns_per_tick_long
    line.refresh_ticks = <uint64_t> (ANCHOR_INTERVAL_NS / line.ns_per_tick)


cdef inline bint clock_was_set(const ClockLine* line, const Anchor* anchor) noexcept nogil:
    cdef int64_t deviation = anchor.ns - clock_line_ns(line, anchor.ticks)
    cdef double elapsed_s = <double> (anchor.ticks - line.latest.ticks) * line.ns_per_tick * 1e-9
    cdef double slewed_s = elapsed_s if elapsed_s < LONGEST_SLEW_S else LONGEST_SLEW_S
    if deviation < 0:
        deviation = -deviation
    return deviation > JITTER_NS + slewed_s * SLEW_PARTS_PER_MILLION * 1000


cdef inline void clock_line_extend(ClockLine* line, const Anchor* anchor) noexcept nogil:
    cdef uint64_t interval = <uint64_t> (ANCHOR_INTERVAL_NS / line.ns_per_tick)
    if <int64_t> (anchor.ticks - line.latest.ticks) <= 0 or clock_was_set(line, anchor):
        clock_line_restart(line, anchor)
        return
    # While the line is short, only its end moves, so that its length doubles each time.
    if line.latest.ticks - line.previous.ticks >= interval or line.base.ticks == line.latest.ticks:
        line.previous = line.latest
    line.latest = anchor[0]
    line.ns_per_tick = slope_between(&line.previous, &line.latest)
    line.ns_per_tick_long = slope_between(&line.base, &line.latest)
    clock_line_set_validity(line)


# Adds one anchor. This is a function of its own so that tests can simulate any clock.
cdef inline void calibration_add(ClockCalibration* calibration, const Anchor* anchor) noexcept nogil:
    cdef uint32_t spare = 1 - calibration.current
    calibration.lines[spare] = calibration.lines[calibration.current]
    clock_line_extend(&calibration.lines[spare], anchor)
    LOGLY_CLOCK_PUBLISH(&calibration.current, spare)


cdef inline void calibration_start(
    ClockCalibration* calibration, const Anchor* first, const Anchor* second
) noexcept nogil:
    cdef ClockLine* line = &calibration.lines[0]
    memset(calibration, 0, sizeof(ClockCalibration))
    line.base = line.previous = first[0]
    line.latest = second[0]
    line.ns_per_tick = line.ns_per_tick_long = slope_between(first, second)
    clock_line_set_validity(line)


# Takes two anchors at the start (and waits 0.1 ms for the second), so that stamps can be converted even when their process
# was killed before its flusher ran once.
cdef inline void calibration_init(ClockCalibration* calibration) noexcept nogil:
    cdef Anchor first, second
    cdef int64_t start
    if not logly_clock_is_tsc:
        memset(calibration, 0, sizeof(ClockCalibration))
        calibration.ticks_are_ns = True
        return
    while True:
        first = anchor_take()
        start = logly_monotonic_ns()
        while logly_monotonic_ns() - start < SHORTEST_BASELINE_NS:
            pass
        second = anchor_take()
        if slope_is_plausible(slope_between(&first, &second)):
            break
    calibration_start(calibration, &first, &second)


# True when a stamp is so new that the anchors no longer tell its time to within some ten nanoseconds. The test is cheap
# enough for each record, so a drain that lasts for seconds does not drift.
cdef inline bint calibration_is_due(const ClockCalibration* calibration, uint64_t ticks) noexcept nogil:
    cdef const ClockLine* line = &calibration.lines[calibration.current]
    if calibration.ticks_are_ns:
        return False
    return <int64_t> (ticks - line.latest.ticks) >= <int64_t> line.refresh_ticks


# The counter of a suspended machine may restart from zero. (Going back by a few ticks means only that two processors
# disagree.)
cdef inline bint counter_restarted(const ClockCalibration* calibration, uint64_t now) noexcept nogil:
    cdef const ClockLine* line = &calibration.lines[calibration.current]
    return <int64_t> (line.latest.ticks - now) >= <int64_t> line.refresh_ticks


# Called at the start of each drain. Takes a new anchor when the line is about to lose its accuracy.
cdef inline void calibration_refresh(ClockCalibration* calibration) noexcept nogil:
    cdef Anchor anchor
    cdef uint64_t now
    if calibration.ticks_are_ns:
        return
    now = LOGLY_READ_TSC()
    if calibration_is_due(calibration, now) or counter_restarted(calibration, now):
        anchor = anchor_take()
        calibration_add(calibration, &anchor)


# Nanoseconds since the epoch. The result does not go back while ticks go forward, unless the clock was set back by more
# than JITTER_NS.
cdef inline int64_t calibration_ns(ClockCalibration* calibration, uint64_t ticks) noexcept nogil:
    cdef int64_t ns
    if calibration.ticks_are_ns:
        return <int64_t> ticks
    ns = clock_line_ns(&calibration.lines[calibration.current], ticks)
    if <int64_t> (ticks - calibration.last_ticks) < 0:
        return ns
    if ns < calibration.last_ns and calibration.last_ns - ns < JITTER_NS:
        return calibration.last_ns
    calibration.last_ticks = ticks
    calibration.last_ns = ns
    return ns
