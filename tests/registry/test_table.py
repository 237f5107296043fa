"""The registry's hash table against a dict, and the numbers that it gives out."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

table = pytest.importorskip("tests.probe.table", reason="built with LOGLY_BUILD=probe only")

# Few keys, and such that collide: the addresses of objects are multiples of 16.
keys = st.tuples(st.integers(1, 40).map(lambda n: 16 * n), st.integers(0, 2))
changes = st.lists(
    st.tuples(st.sampled_from(["insert", "remove", "replace"]), keys, st.integers(1, 1 << 40)), max_size=400
)


@given(changes=changes)
@settings(deadline=None)
def test_the_table_does_what_a_dict_does(changes: list[tuple[str, tuple[int, int], int]]) -> None:
    real, model = table.Table(), {}
    for what, key, value in changes:
        if what == "insert" and key not in model:
            assert real.insert(*key, value)
            model[key] = value
        elif what == "remove":
            real.remove(*key)
            model.pop(key, None)
        elif what == "replace":
            real.replace(*key, value)
            if key in model:
                model[key] = value
        assert real.find(*key) == model.get(key, 0)
    for number in range(1, 41):
        for extra in range(3):
            assert real.find(16 * number, extra) == model.get((16 * number, extra), 0)


def test_what_is_removed_takes_no_room() -> None:
    real = table.Table()
    for i in range(1, 100_000):
        real.insert(16 * i, 1, i)
        if i > 50:
            real.remove(16 * (i - 50), 1)
    assert real.places <= 512
    assert [real.find(16 * i, 1) for i in range(99_940, 100_001)] == [0] * 10 + list(range(99_950, 100_000)) + [0]


def test_a_table_grows_and_finds_everything() -> None:
    real = table.Table()
    for i in range(1, 10_000):
        assert real.insert(16 * i, i & 7, i)
    assert all(real.find(16 * i, i & 7) == i for i in range(1, 10_000))
    assert real.places == 32_768


def test_a_number_is_given_to_one_at_a_time_and_its_place_comes_again_under_another() -> None:
    pool = table.NumberPool(8)
    taken = [pool.take() for _ in range(7)]
    assert taken == [1, 2, 3, 4, 5, 6, 7]
    assert (pool.take(), pool.given, pool.are_left) == (0, 7, False)
    seen = set(taken)
    for _ in range(100):
        number = taken.pop(0)
        pool.give_back(number)
        assert (pool.given, pool.are_left) == (6, True)
        again = pool.take()
        assert again % 8 == number % 8
        assert again not in seen
        seen.add(again)
        taken.append(again)


def test_the_numbers_of_a_place_begin_again_after_all_of_them() -> None:
    pool = table.NumberPool(1 << 16)
    number = pool.take()
    for _ in range(1 << 16):
        pool.give_back(number)
        number = pool.take()
        assert number % (1 << 16) == 1
    assert number == 1
