"""Time stamps as text: what Python's datetime says, in every zone, whatever stamp came before."""

import re
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

probe = pytest.importorskip("tests.probe.time", reason="built with LOGLY_BUILD=probe only")
Pattern = probe.Pattern

SECOND = 1_000_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EVERYTHING = (
    "YYYY YY MMMM MMM MM M dddd ddd DD D HH H hh h mm m ss s A a Z ZZ zz "
    "S SS SSS SSSS SSSSS SSSSSS SSSSSSS SSSSSSSS SSSSSSSSS"
)
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",  # -03:30
    "Asia/Kathmandu",  # +05:45
    "Australia/Lord_Howe",  # summer time is half an hour
    "Pacific/Apia",  # had no 30 December 2011
]
# Stamps just before and after a change of the offset, of the year, and around leap days.
EDGES = [
    datetime(*moment, tzinfo=UTC)
    for moment in [
        (2026, 3, 29, 1),  # Berlin's gap
        (2026, 10, 25, 1),  # Berlin's fold
        (2026, 3, 8, 7),  # New York
        (2026, 11, 1, 6),
        (2026, 3, 8, 5, 30),  # St John's
        (2026, 11, 1, 4, 30),
        (2026, 4, 4, 15),  # Lord Howe
        (2026, 10, 3, 15, 30),
        (2011, 12, 30, 10),  # Apia crosses the date line
        (2026, 1, 1),
        (2000, 1, 1),
        (2024, 2, 29),
        (2024, 3, 1),
        (2100, 3, 1),
        (1900, 3, 1),
        (1970, 1, 1),
    ]
]

any_stamp = st.integers(-(2**63), 2**63 - 1)
# From 1970 on: the C library and zoneinfo differ in what they make of the time before a zone's first rule.
modern_stamp = st.integers(0, 4_000_000_000 * SECOND)
edge_stamp = st.builds(
    lambda edge, off: nanoseconds(edge) + off,
    st.sampled_from(EDGES),
    st.one_of(
        st.integers(-2, 2),
        st.integers(-2 * SECOND, 2 * SECOND),
        st.integers(-3 * 3600, 3 * 3600).map(SECOND.__mul__),
    ),
)


def nanoseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1) * 1000


def expected(pattern: str, ns: int, zone: timezone | ZoneInfo) -> str:
    second, fraction = divmod(ns, SECOND)
    moment = (EPOCH + timedelta(seconds=second)).astimezone(zone)
    offset = moment.strftime("%z")[:5]
    half_hour = moment.hour % 12 or 12
    values = {
        "YYYY": f"{moment.year:04}",
        "YY": f"{moment.year % 100:02}",
        "MMMM": moment.strftime("%B"),
        "MMM": moment.strftime("%b"),
        "dddd": moment.strftime("%A"),
        "ddd": moment.strftime("%a"),
        "A": "AM" if moment.hour < 12 else "PM",
        "a": "am" if moment.hour < 12 else "pm",
        "Z": f"{offset[:3]}:{offset[3:]}",
        "ZZ": offset,
        "zz": moment.tzname(),
    }
    for letter, number in zip(
        "MDHhms",
        [moment.month, moment.day, moment.hour, half_hour, moment.minute, moment.second],
        strict=True,
    ):
        values[letter] = str(number)
        values[letter * 2] = f"{number:02}"
    for digits in range(1, 10):
        values["S" * digits] = f"{fraction:09}"[:digits]
    return " ".join(values[token] for token in pattern.split(" "))


@pytest.fixture(params=ZONES)
def local_zone(request, in_zone):
    in_zone(request.param)
    return ZoneInfo(request.param)


@pytest.mark.parametrize("edge", EDGES, ids=str)
def test_local_text_on_both_sides_of_every_edge(local_zone, edge):
    pattern = Pattern(EVERYTHING)
    at = nanoseconds(edge)
    for ns in (at - SECOND, at - 1, at, at + 1, at + SECOND - 1, at + SECOND, at + 3600 * SECOND, at - 1):
        assert pattern.render(ns) == expected(EVERYTHING, ns, local_zone)


def test_local_text_of_stamps_in_any_order(local_zone):
    @settings(deadline=None)
    @given(st.lists(st.one_of(modern_stamp, edge_stamp.filter(lambda ns: ns >= 0)), min_size=1, max_size=12))
    def check(stamps):
        pattern = Pattern(EVERYTHING)  # one cache for the whole sequence
        assert pattern.render_all(stamps) == [expected(EVERYTHING, ns, local_zone) for ns in stamps]

    check()


@settings(deadline=None)
@given(st.lists(st.one_of(any_stamp, edge_stamp), min_size=1, max_size=12))
@example([-(2**63), 2**63 - 1, -1, 0, -SECOND, -SECOND - 1, -(2**63) + 1])
@example([2**63 // SECOND * SECOND, SECOND - 2**64 + 2**63 // SECOND * SECOND - 1])
def test_utc_text_of_every_stamp_in_any_order(stamps):
    pattern = Pattern(EVERYTHING)
    assert pattern.render_all(stamps, utc=True) == [expected(EVERYTHING, ns, UTC) for ns in stamps]


@settings(deadline=None)
@given(st.integers(0, SECOND - 1), st.lists(st.integers(0, SECOND - 1), min_size=1))
def test_stamps_of_one_second_differ_only_in_their_fraction(first, others):
    pattern = Pattern("ss.SSSSSSSSS SSS")
    stamps = [1_700_000_007 * SECOND + nanosecond for nanosecond in [first, *others]]
    wanted = [f"{ns // SECOND % 60:02}.{ns % SECOND:09} {ns % SECOND // 1_000_000:03}" for ns in stamps]
    assert pattern.render_all(stamps, utc=True) == wanted


def test_one_pattern_may_alternate_between_local_and_utc(local_zone):
    pattern = Pattern(EVERYTHING)
    ns = 1_780_000_000 * SECOND
    for _ in range(2):
        assert pattern.render(ns) == expected(EVERYTHING, ns, local_zone)
        assert pattern.render(ns, utc=True) == expected(EVERYTHING, ns, UTC)


@settings(deadline=None)
@given(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59), timezones=st.just(UTC)))
def test_the_calendar_is_right_from_year_1_to_9999(moment):
    second = (moment - EPOCH) // timedelta(seconds=1)
    weekday = moment.isoweekday() % 7
    assert probe.civil_utc(second) == (*moment.timetuple()[:3], weekday, *moment.timetuple()[3:6])


@settings(deadline=None)
@given(any_stamp)
def test_json_time_stamps_are_rfc3339_in_utc(ns):
    moment = EPOCH + timedelta(microseconds=ns // 1000)
    assert Pattern.rfc3339().render(ns, utc=True) == moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def test_fractions_are_cut_not_rounded():
    assert Pattern("s.SSS").render(59 * SECOND + 999_999_999, utc=True) == "59.999"
    assert Pattern("s.SSS").render(-1, utc=True) == "59.999"


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("", ""),
        ("[]", ""),
        ("[YYYY-MM-DD]", "YYYY-MM-DD"),
        ("[at ]HH[h]mm", "at 13h46"),
        ("[[]HH]", "[13]"),
        ("YYYY-MM-DDTHH:mm:ssZ", "2026-11-23T13:46:05+00:00"),
        ("YYY", "26Y"),  # the longest token first, the rest as it is
        ("DDD", "2323"),
        ("dd d z", "dd d z"),
        ("ZZZ", "+0000+00:00"),
        ("YYYYMMDDHHmmssSSS", "20261123134605123"),
        ("YYYY年M月D日", "2026年11月23日"),
        ("h:mm A (a)", "1:46 PM (pm)"),
        ("zz", "UTC"),
        ("-" * 300 + "ss", "-" * 300 + "05"),
    ],
)
def test_what_is_not_a_token_is_literal(pattern, text):
    ns = nanoseconds(datetime(2026, 11, 23, 13, 46, 5, 123_456, tzinfo=UTC))
    assert Pattern(pattern).render(ns, utc=True) == text


@settings(deadline=None)
@given(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="[]")), any_stamp)
def test_bracketed_text_is_written_as_it_is(text, ns):
    assert Pattern(f"[{text}]").render(ns, utc=True) == text


@settings(deadline=None)
@given(st.text("YMDdHhmsSAaZz[]-: é"), modern_stamp)
def test_any_pattern_is_either_rendered_or_refused(text, ns):
    refused = re.search(r"\[[^\]]*\Z|S{10}", re.sub(r"\[[^\]]*\]", "[]", text)) is not None
    try:
        pattern = Pattern(text)
    except ValueError:
        assert refused
    else:
        assert not refused
        assert pattern.render(ns, utc=True) == pattern.render(ns, utc=True)


@pytest.mark.parametrize(("pattern", "position"), [("[", 0), ("HH:mm [oops", 6), ("[ok] [", 5), ("ss.SSSSSSSSSS", 3)])
def test_a_mistake_is_told_with_its_position(pattern, position):
    with pytest.raises(ValueError, match=f"^{position}$"):
        Pattern(pattern)


def test_noon_and_midnight_on_a_twelve_hour_clock():
    pattern = Pattern("hh h A")
    texts = [pattern.render(hour * 3600 * SECOND, utc=True) for hour in (0, 1, 11, 12, 13, 23)]
    assert texts == ["12 12 AM", "01 1 AM", "11 11 AM", "12 12 PM", "01 1 PM", "11 11 PM"]
