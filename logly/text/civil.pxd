"""Civil time: from seconds since the Unix epoch to year, month, day, weekday and time of day, in a zone (text/zones.pxd).

UTC and named zones are computed here. The C library is asked only for the offset of the local zone, because it alone knows
the rules. Its `localtime_r` takes a lock inside the C library that `fork` does not reset. So no thread may be in this function
while another one forks, or the first local time stamp of the child may wait for ever.
"""

from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memcpy

from logly.text.zones cimport ZONE_LOCAL, ZONE_NAME_SIZE, ZONE_UTC, named_zone_offset

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    #include <time.h>

    // Returns the seconds east of Greenwich at a moment, and stores the zone's short name, which stays empty where the
    // system has only long, localized names. This is all that differs between platforms.
    static inline int32_t logly_local_offset(int64_t second, char* name, size_t name_size) {
        struct tm local;
        time_t moment = (time_t)second;
        name[0] = 0;
    #ifdef _WIN32
        if (localtime_s(&local, &moment) != 0) return 0;
        return (int32_t)(_mkgmtime(&local) - moment);
    #else
        if (localtime_r(&moment, &local) == NULL) return 0;
        if (local.tm_zone != NULL) {
            size_t size = strlen(local.tm_zone);
            if (size >= name_size) size = name_size - 1;
            memcpy(name, local.tm_zone, size);
            name[size] = 0;
        }
        return (int32_t)local.tm_gmtoff;
    #endif
    }
    """
    int logly_local_offset(int64_t second, char* name, size_t name_size) noexcept nogil


cdef struct CivilTime:
    int year
    int month      # 1..12
    int day        # 1..31
    int weekday    # 0 is Sunday
    int hour
    int minute
    int second
    int offset_s   # seconds east of Greenwich
    char zone[ZONE_NAME_SIZE]


cdef inline int64_t floor_divide(int64_t value, int64_t divisor) noexcept nogil:
    # cdivision is on: C rounds towards zero, which is the wrong day (or second) before 1970.
    cdef int64_t quotient = value / divisor
    return quotient - (value % divisor < 0)


# Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days: years begin in March, so that the leap
# day is the last of its year, and are counted in eras of 400.
cdef inline void civil_date(int64_t days, CivilTime* civil) noexcept nogil:
    cdef int64_t shifted = days + 719468
    cdef int64_t era = floor_divide(shifted, 146097)
    cdef uint32_t day_of_era = <uint32_t> (shifted - era * 146097)
    cdef uint32_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365
    cdef uint32_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100)
    cdef uint32_t march_month = (5 * day_of_year + 2) / 153
    civil.day = <int> (day_of_year - (153 * march_month + 2) / 5 + 1)
    civil.month = <int> (march_month + 3 if march_month < 10 else march_month - 9)
    civil.year = <int> (year_of_era + era * 400 + (civil.month <= 2))
    civil.weekday = <int> (days + 4 - floor_divide(days + 4, 7) * 7)


# Seconds east of Greenwich; the short name is copied to `name`, which has ZONE_NAME_SIZE bytes.
cdef inline int zone_offset(int zone, int64_t second, char* name) noexcept nogil:
    if zone == ZONE_UTC:
        memcpy(name, <const char*> "UTC", 4)
        return 0
    if zone == ZONE_LOCAL:
        return logly_local_offset(second, name, ZONE_NAME_SIZE)
    return named_zone_offset(zone, second, name)


cdef inline void civil_from_second(int64_t second, int zone, CivilTime* civil) noexcept nogil:
    cdef int64_t days, local
    cdef int second_of_day
    civil.offset_s = zone_offset(zone, second, civil.zone)
    local = second + civil.offset_s
    days = floor_divide(local, 86400)
    second_of_day = <int> (local - days * 86400)
    civil_date(days, civil)
    civil.hour = second_of_day / 3600
    civil.minute = second_of_day / 60 % 60
    civil.second = second_of_day % 60
