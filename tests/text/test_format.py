"""The native format-specification mini-language against its oracle, str.format."""

import math
import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

probe = pytest.importorskip("tests.probe.text", reason="built with LOGLY_BUILD=probe only")

from tests.fuzz.formats import KINDS, visible  # noqa: E402 -- it imports the probe

NUMERIC = probe.KIND_BOOL | probe.KIND_INT | probe.KIND_FLOAT
INTEGRAL = probe.KIND_BOOL | probe.KIND_INT
ALL = NUMERIC | probe.KIND_STR | probe.KIND_NONE | probe.KIND_BYTES


def python_text(value, spec: str) -> bytes | None:
    """What str.format says, or None when it raises."""
    try:
        return visible(format(value, spec))
    except (ValueError, TypeError, OverflowError):
        return None


def check(value, spec: str) -> bool:
    """Compares where native text is offered; returns whether it was."""
    encoded = spec.encode("utf-8", "surrogatepass")
    if not probe.accepts(encoded) & KINDS[type(value)]:
        return False
    if value is None or isinstance(value, bytes):
        assert spec == ""
        return True
    expected = python_text(value, spec)
    assert probe.format_value(value, encoded) == expected
    if isinstance(value, str) and not any("\ud800" <= c <= "\udfff" for c in value):
        assert probe.format_value(value, encoded, True) == expected
    return True


def double_of(bits: int) -> float:
    return struct.unpack("<d", struct.pack("<Q", bits))[0]


fills = st.one_of(st.just(""), st.sampled_from("0 *_é→😀<>=^+-#\x00{}"), st.characters())
alignments = st.builds(lambda fill, align: fill + align, fills, st.sampled_from("<>=^"))
widths = st.one_of(st.just(""), st.integers(1, 30).map(str), st.sampled_from(["500", "007", "4096", "4097"]))
precisions = st.one_of(
    st.just(""), st.integers(0, 20).map(".{}".format), st.sampled_from([".300", ".400", ".401", ".00", "."])
)
specs = st.builds(
    lambda *parts: "".join(parts),
    st.one_of(st.just(""), alignments),
    st.sampled_from(["", "", "", "+", "-", " "]),
    st.sampled_from(["", "", "", "z"]),
    st.sampled_from(["", "", "#"]),
    st.sampled_from(["", "", "0"]),
    widths,
    st.sampled_from(["", "", ",", "_"]),
    precisions,
    st.sampled_from(["", *"bcdoxXneEfFgG%s"]),
)
spec_soup = st.text(alphabet="<>=^+- z#0123456789,_.bcdoxXneEfFgG%s*é٣", max_size=9)

integers = st.one_of(
    st.integers(-(2**63), 2**64 - 1),
    st.integers(-2000, 2000),
    st.integers(0, 19).flatmap(lambda k: st.sampled_from([10**k - 1, 10**k, 1 - 10**k if k < 19 else 0])),
)
floats = st.one_of(
    st.floats(),
    st.integers(0, 2**64 - 1).map(double_of),
    st.builds(lambda n, k: n / 10**k, st.integers(-(10**16), 10**16), st.integers(0, 20)),
    st.builds(lambda n, k: n / 2**k, st.integers(-(10**6), 10**6), st.integers(0, 12)),
    st.integers(-1074, 1023).map(lambda e: math.ldexp(1.0, e)),
    st.sampled_from([0.0, -0.0, math.inf, -math.inf, math.nan, -math.nan, 5e-324, 1.7976931348623157e308, 1e16, 1e15]),
)
values = st.one_of(integers, floats, floats, st.booleans(), st.text(max_size=12), st.none(), st.binary(max_size=3))


@given(values, specs)
def test_accepted_specifications_give_pythons_text(value, spec):
    check(value, spec)


@given(values, spec_soup)
def test_malformed_specifications_are_left_to_python(value, spec):
    check(value, spec)


@given(st.binary(max_size=12))
def test_any_bytes_are_safe_to_parse(spec):
    if probe.parse(spec) is not None:
        spec.decode("utf-8")  # what parses is UTF-8


@given(floats, st.integers(0, 20), st.sampled_from("eEfFgG%"))
def test_rounding_is_pythons(value, precision, code):
    assert check(value, f".{precision}{code}")


@given(integers, st.integers(0, 40), st.sampled_from(["", "d", "b", "o", "x", "X"]), st.sampled_from(["", "_"]))
def test_zero_padding_is_grouped_as_pythons(value, width, code, grouping):
    assert check(value, f"0{width}{grouping}{code}")
    assert check(value, f"#0{width}{grouping}{code}")


@given(st.one_of(integers, floats))
def test_numbers_without_a_specification(value):
    assert probe.write_number(value) == repr(value).encode()


@given(st.one_of(integers, floats, st.booleans(), st.text()))
def test_null_is_the_empty_specification(value):
    assert probe.format_null(value) == visible(format(value, ""))


def test_shortest_text_at_every_power_of_two_and_ten():
    for exponent in range(-1074, 1024):
        power = math.ldexp(1.0, exponent)
        for value in (math.nextafter(power, 0.0), power, math.nextafter(power, math.inf)):
            assert probe.write_number(value) == repr(value).encode()
    for exponent in range(-323, 309):
        power = float(f"1e{exponent}")
        for value in (math.nextafter(power, 0.0), power, math.nextafter(power, math.inf)):
            assert probe.write_number(value) == repr(value).encode()


def test_short_decimals_have_no_needless_digits():
    rng = random.Random(20)
    for _ in range(50_000):
        value = rng.randrange(10 ** rng.randrange(1, 17)) / 10 ** rng.randrange(10)
        assert probe.write_number(value) == repr(value).encode()


def test_ties_round_to_even():
    for numerator in range(-2000, 2000):
        for bits in range(8):
            for precision in range(bits + 1):
                assert check(numerator / 2**bits, f".{precision}f")


# fmt: off
ORDINARY = [
    ("", ALL),
    *((spec, NUMERIC | probe.KIND_STR) for spec in (
        "5", "<8", ">8", "^8", "*^20", "<", "08", "03", "é>6", "0", "00",
    )),
    *((spec, NUMERIC) for spec in (
        "+", " ", "-", ",", "_", "=8", "0=8", "+8", "#", "010,", "10_", "<10,",
        "e", "E", "f", "F", "g", "G", "%", ".3e", "^12.2e", ".4g", ".10g", "#.3g", ".1%", ".0%",
        ".0f", ".1f", ".2f", ".3f", ".6f", "8.3f", "+.2f", "-.2f", " .2f", "08.2f", "*>12.3f", "#.0f",
        ",.2f", "10,.2f", "012,.2f", "_.2f", "z.1f", "+z.2f", ".300f", "500.3f",
    )),
    *((spec, INTEGRAL) for spec in (
        "d", "5d", "05d", "+d", " d", ",d", "_d", "<6d", ">6d", "^6d", "+06d",
        "x", "X", "#x", "#X", "02x", "04X", "08x", "#06x", "#010x", "b", "#b", "08b", "o", "#o",
        "_x", "_b", "016_b",
    )),
    *((spec, probe.KIND_FLOAT) for spec in ("z", "+z", "z,", "+.3", "#.3", ",.3", "=10.3")),
    *((spec, probe.KIND_FLOAT | probe.KIND_STR) for spec in (".3", "10.3", "<10.2", ".0", "010.3")),
    *((spec, probe.KIND_STR) for spec in (
        "s", "10s", ".5s", "<10s", ">10.3s", "^5s", "→^9s", "05s", ".0s",
    )),
]
# fmt: on


@pytest.mark.parametrize(("spec", "kinds"), ORDINARY)
def test_ordinary_specifications_are_native(spec, kinds):
    assert probe.accepts(spec.encode()) == kinds
    samples = [
        0, 1, -1, 7, 1234, -1234567, 2**63 - 1, -(2**63), 2**64 - 1, True, False,
        0.0, -0.0, 0.5, 1.0, -1.5, 3.14159, 1234567.891, 1e16, 1e22, 1e-5, 1e308, 5e-324, -0.004, 0.1 + 0.2,
        math.inf, -math.inf, math.nan, "", "a", "level", "naïve", "→ 😀", "x" * 40, "\ud800",
    ]  # fmt: skip
    for value in samples:
        assert check(value, spec) == bool(kinds & KINDS[type(value)])


@pytest.mark.parametrize(
    "spec",
    ["n", "c", "5n", "٣", ",n", ",x", "_c", ",s", ",_", "_,", ".", ".f", "5.", "abc", "dd", "r", "i", "u",
     "a", "4097", ".401f", "99999999999999999999", ".99999999999999999999f", "=s", "+s", "zs", "#s",
     ".3d", ".2x", "zd", ".,f", "._f", ".3,f", "\ud800<5", "é", "<<<", "+ 5", "\x00"],
)  # fmt: skip
def test_what_is_not_native_is_refused(spec):
    assert probe.accepts(spec.encode("utf-8", "surrogatepass")) == 0


@pytest.mark.parametrize("spec", ["5", "s", "<", ".3"])
def test_none_and_bytes_take_no_specification(spec):
    assert not probe.accepts(spec.encode()) & (probe.KIND_NONE | probe.KIND_BYTES)


def test_parsed_fields():
    fields = probe.parse("é^+z#012_.3f".encode())
    assert fields == {
        "fill": "é", "align": "^", "sign": "+", "z": True, "alternate": True, "zero": False, "width": 12,
        "grouping": "_", "precision": 3, "type": "f", "empty": False,
    }  # fmt: skip
    assert probe.parse(b"")["empty"]
    assert probe.parse(b"08")["zero"]


def test_each_form_of_number_at_its_edges():
    """Property tests seldom meet these: a point that `#` keeps, a zero that `z` makes positive, no digits at all."""
    numbers = [
        0,
        1,
        -1,
        255,
        -(2**63),
        2**63,
        2**64 - 1,
        True,
        False,
        0.0,
        -0.0,
        -0.4,
        0.5,
        -1e-9,
        1e16,
        2.5e-7,
        math.inf,
        -math.nan,
    ]
    types = ["", *"bdoxXeEfFgG%"]
    offered = 0
    for code in types:
        for form in ("", "#", "z", "z#", "+", " #", "#012", "_", ",", "*^+9"):
            for precision in ("", ".0", ".1", ".3"):
                for value in numbers:
                    offered += check(value, f"{form}{precision}{code}")
    assert offered > 4_000


def test_a_fill_that_is_not_utf_8_is_refused():
    for fill in (b"\xff", b"\xe2\x82", b"\xf0\x9f\x98", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\x80"):
        assert probe.parse(fill + b">9") is None
