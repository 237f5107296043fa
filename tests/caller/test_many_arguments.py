"""Calls with many arguments and fields: the same text and fields as with few."""

import json

import pytest

from tests.support.lines import Lines

COUNTS = (1, 63, 64, 65, 66, 100, 498, 499, 500, 501, 999, 1000, 1001, 1024, 1025, 1500)


@pytest.fixture(scope="module")
def lines():
    with Lines(format="{message}") as lines:
        yield lines


def arguments(count):
    kinds = (7, "text", 2.5, None, True, b"bytes", -(2**62), "é→😀")
    return [kinds[i % len(kinds)] for i in range(count)]


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("pattern", ["{}", "{} ", "{!r}"])
def test_arguments_are_formatted_as_by_str_format(lines, count, pattern):
    template = pattern * count
    args = arguments(count)
    for given in (args, [*args, "one more"]):
        lines.logger.info(template, *given)
        lines.logger.info(template, *given)
        assert lines.lines() == [template.format(*given)] * 2


def test_numbered_arguments_in_any_order(lines):
    args = arguments(200)
    for numbers in (range(199, -1, -1), [199, 0] * 50, [65, 64, 63, 199], [199]):
        template = "".join(f"{{{number}}}," for number in numbers)
        lines.logger.info(template, *args)
        assert lines.line() == template.format(*args)
    for template in ("{1500}", "{99999999999999999999}"):
        lines.logger.info(template, *args)
        assert lines.line().startswith(template), "what str.format cannot format is written as it is"


@pytest.mark.parametrize("count", [63, 64, 65, 66, 300, 4000, 15_999, 16_000])
def test_fields_are_all_there(count):
    given = {f"f{i}": i for i in range(count)}
    with Lines(json=True) as lines:
        lines.logger.info("m", **given)
        found = lines.object()
    assert {name: value for name, value in found.items() if name in given} == given


def test_more_fields_than_a_record_takes_are_counted():
    with Lines(json=True) as lines:
        lines.logger.info("m", **{f"f{i}": i for i in range(16_003)})
        found = lines.object()
    assert found["logly_fields_cut"] == 3
    assert found["f15999"] == 15_999


@pytest.mark.parametrize("count", [64, 65, 70, 200])
@pytest.mark.parametrize("order", ["same", "reversed", "last", "scattered"])
def test_names_in_the_message(lines, count, order):
    given = {f"f{i}": value for i, value in enumerate(arguments(count))}
    names = list(given)
    picked = {
        "same": names,
        "reversed": names[::-1],
        "last": names[-1:],
        "scattered": [names[i * 37 % count] for i in range(count)],
    }[order]
    template = " ".join(f"{{{name}}}" for name in picked)
    for _ in range(2):
        lines.logger.info(template, **given)
        assert lines.line() == template.format(**given)


def test_a_specification_that_does_not_fit_a_late_field(lines):
    given = {f"f{i}": "text" for i in range(70)}
    for kind in ("text", 5, 2.5, None, True, b"x"):
        for spec in ("{f69:>8}", "{f69:d}", "{f69:.3f}"):
            lines.logger.info(spec, **{**given, "f69": kind})
            try:
                expected = spec.format(f69=kind)
            except (ValueError, TypeError):
                expected = spec
            assert lines.line().startswith(expected)


def test_names_of_fields_that_are_not_interned(lines):
    given = json.loads('{"timeout_": 1, "username": "ann", "stacklevel_": 2, "order_id": 3}')
    with Lines(json=True) as json_lines:
        json_lines.logger.info("m", **given)
        found = json_lines.object()
    assert {name: found[name] for name in given} == given
