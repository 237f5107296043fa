"""Values in tracebacks: what `redact` and `redact_text` hide."""

from __future__ import annotations

import re
from collections import OrderedDict, deque
from collections.abc import Iterator
from enum import Enum
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from logly import SinkConfig
from logly.caller import hidden_values
from logly.caller.plain_reading import is_of
from tests.support.diagnosed import Diagnosed, show


def login(user: str, password: str, headers: dict[str, str], account: Any) -> None:
    raise ValueError((user, password, headers, account) is account.api_token)


class WithToken:
    api_token = "t0ps3cret"

    def __init__(self) -> None:
        self.api_token = "t0ps3cret"
        self.headers = [("authorization", "Basic aHVudGVyMg==")]


@pytest.mark.parametrize("config", [{"redact": ["password", "*token", "authorization"]}, {"redact_text": True}])
def test_secrets(config: dict[str, Any], tmp_path: Path) -> None:
    one = Diagnosed(**config)
    one.logger.add_sink(SinkConfig(path=tmp_path / "app.json", json=True))
    one.logger.add_sink(SinkConfig(path=tmp_path / "app.log"))
    stack = one.stack_of(login, "ann", "hunter2", {"Authorization": "Basic aHVudGVyMg=="}, WithToken())
    one.logger.close()
    written = stack + (tmp_path / "app.json").read_text() + (tmp_path / "app.log").read_text()
    for secret in ("aHVudGVyMg", "t0ps3cret") if "redact_text" in config else ("aHVudGVyMg", "t0ps3cret", "hunter2"):
        assert secret not in written, stack
    for name in ("password", "account", "user"):
        assert f"      {name} = " in stack
    assert "'Authorization': '[redacted]'" in stack or "'Authorization': 'Basic [redacted]'" in stack
    assert "<WithToken api_token='[redacted]', headers=[...]>" in stack


def test_a_secret_is_not_cut_in_half(diagnosed: Diagnosed) -> None:
    one = Diagnosed(redact_text=True)
    token = "eyJ" + "a" * 200 + "." + "b" * 200 + "." + "c" * 200
    assert one.values_of(show, f"with {token}") == {"value": "'with [redacted]'"}
    one.logger.close()


def secret_in(value: Any, password: Any) -> Any:
    return 1 / 0, value, password


@pytest.fixture
def hiding() -> Iterator[Diagnosed]:
    one = Diagnosed(redact=["password", "authorization"])
    yield one
    one.logger.close()


@pytest.mark.parametrize(
    ("value", "password", "text"),
    [
        ("x" * 100 + "hunter2" * 6, "hunter2" * 6, "'" + "x" * 100 + "[redacted]'"),
        ("hunter2" * 2_000, "hunter2" * 500, "''... 14000 in all"),
        ("a hunter2", b"hunter2", "'a [redacted]'"),
        (b"a hunter2", "hunter2", "b'a [redacted]'"),
        ("a hünter", "hünter".encode(), "'a [redacted]'"),
        ("hunter2", ["hunter2"], "'[redacted]'"),
        ([123456, "123456"], 123456, "[[redacted], '[redacted]']"),
        ("x" * 5000, "x" * 5000, "'[redacted]'... 5000 in all"),
        (ValueError("hunter2"), "hunter2", "ValueError('[redacted]')"),
        (PurePosixPath("/hunter2"), "hunter2", "PurePosixPath('/[redacted]')"),
        ("a    b", "    ", "'a    b'"),
        (["redacted", {"password": 1}], "redacted", "['[redacted]', {'password': '[redacted]'}]"),
        ("abcabcabc", ["abcabc", "abcabcab"], "'[redacted]c'"),
        (True, True, "True"),
        ([12.75, "of 12.75"], 12.75, "[[redacted], 'of [redacted]']"),
    ],
)
def test_the_same_secret_under_another_name(hiding: Diagnosed, value: Any, password: Any, text: str) -> None:
    assert hiding.values_of(secret_in, value, password) == {"value": text, "password": "[redacted]"}


@pytest.mark.parametrize("size", [4, 4001])
def test_so_many_secrets_that_every_text_is_hidden(
    hiding: Diagnosed, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    compiled: list[str] = []
    monkeypatch.setattr(hidden_values, "re", SimpleNamespace(**{**vars(re), "compile": lambda *_: compiled.append("")}))
    secrets = [[f"{row}{column}".rjust(size, "x") for row in range(10, 42)] for column in range(10, 20)]
    values = hiding.values_of(secret_in, ["some", 1], secrets)
    assert values == {"value": "['[redacted]', [redacted]]", "password": "[redacted]"}
    assert compiled == []


def test_secrets_that_cannot_be_looked_for(hiding: Diagnosed, monkeypatch: pytest.MonkeyPatch) -> None:
    def learn(_: object) -> bool:
        raise MemoryError

    monkeypatch.setattr(hidden_values.HiddenValues, "learn", learn)
    assert hiding.values_of(secret_in, "some", "hunter2") == {}


class Masked:
    """As pydantic's SecretStr."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value


@pytest.mark.parametrize(
    "password",
    [
        bytearray(b"hunter2"),
        deque(["hunter2"]),
        Masked("hunter2"),
        [Masked(Masked("hunter2"))],
        SimpleNamespace(_value="hunter2"),
        {"hunter2": 1},
        [*range(33), "hunter2"],
    ],
    ids=["bytearray", "deque", "object", "deep object", "namespace", "key", "place"],
)
def test_the_same_secret_from_another_kind_of_value(hiding: Diagnosed, password: Any) -> None:
    assert hiding.values_of(secret_in, "a hunter2", password)["value"] == "'a [redacted]'"


def test_the_work_for_one_secret_has_a_limit(hiding: Diagnosed, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(hidden_values, "is_of", lambda kind, base: asked.append(base) or is_of(kind, base))
    hiding.values_of(secret_in, "some", [[[True] * 100] * 100] * 100)
    assert len(asked) < 2 * 10 * hidden_values._MOST_VALUES


def test_a_secret_that_cannot_be_read_hides_every_text(hiding: Diagnosed, monkeypatch: pytest.MonkeyPatch) -> None:
    def texts_in(*_: Any) -> Any:
        raise RuntimeError("changed size during iteration")

    monkeypatch.setattr(hidden_values, "_texts_in", texts_in)
    assert hiding.values_of(secret_in, ["some"], {}) == {"value": "['[redacted]']", "password": "[redacted]"}


def test_a_module_or_a_class_is_no_secret(hiding: Diagnosed) -> None:
    assert hiding.values_of(secret_in, "_MOST_ITEMS", hidden_values) == {"value": "'_MOST_ITEMS'"}
    assert hiding.values_of(secret_in, "__main__", Masked) == {"value": "'__main__'"}


def test_a_variables_name_is_no_secret(hiding: Diagnosed) -> None:
    assert hiding.values_of(secret_in, "some", "value") == {"value": "'some'", "password": "[redacted]"}


def test_a_secret_of_one_exception_is_hidden_in_the_others(hiding: Diagnosed) -> None:
    def inner(text: str) -> None:
        raise ValueError(len(text))

    def outer(text: str) -> None:
        try:
            login("ann", text, {}, object())
        except AttributeError:
            inner(text)

    stack = hiding.stack_of(outer, "hunter2")
    assert "      password = [redacted]\n" in stack
    assert "hunter2" not in stack
    assert stack.count("text = '[redacted]'") == 3


def given_as_argument(text: str, n: int) -> Any:
    return SimpleNamespace(password=text, n=1 / n)


def given_to_a_key(text: str, n: int) -> Any:
    return {"password": text, "n": 1 / n}


def given_in_a_call(text: str, n: int) -> Any:
    return SimpleNamespace(text=text, password=f"{text.strip()}", n=1 / n)


def given_by_item(text: str, n: int) -> Any:
    found: Any = {}
    found["password"] = text.missing, n  # type: ignore[attr-defined]


def given_after_a_name(text: str, n: int) -> Any:
    return [("--password", text), text, 1 / n]


def only_a_local(text: str, n: int) -> Any:
    password = [text]
    failed = 1 / n, text
    return failed, password


@pytest.mark.parametrize(
    "function",
    [
        given_as_argument,
        given_to_a_key,
        given_in_a_call,
        given_by_item,
        given_after_a_name,
        only_a_local,
    ],
)
def test_a_secret_that_the_line_or_a_variable_names(hiding: Diagnosed, function: Any) -> None:
    stack = hiding.stack_of(function, "hunter2", 0)
    assert "hunter2" not in stack
    assert "      n = 0\n" in stack
    assert "      text = [redacted]\n" in stack or "      text = '[redacted]'\n" in stack


def test_a_private_attribute_has_the_name_without_underscores(hiding: Diagnosed) -> None:
    def fail(config: Any) -> Any:
        return 1 / 0, config._password, config.missing

    values = hiding.values_of(fail, SimpleNamespace(_password="hunter2", text="hunter2"))
    assert values == {"config._password": "[redacted]", "config": "<SimpleNamespace text='[redacted]'>"}


class Header(NamedTuple):
    name: str
    value: str


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (("password", "hunter2", 1), "('password', '[redacted]', 1)"),
        (deque(["password", "hunter2"]), "deque(['password', '[redacted]'])"),
        (Header("password", "hunter2"), "Header(name='password', value='[redacted]')"),
        ({"value": "hunter2", "name": "password"}, "{'value': '[redacted]', 'name': 'password'}"),
        ({"key": "Password", "value": "hunter2"}, "{'key': 'Password', 'value': '[redacted]'}"),
        (SimpleNamespace(name="password", value="hunter2"), "<SimpleNamespace name='password', value='[redacted]'>"),
        (ValueError("password", "hunter2"), "ValueError('password', '[redacted]')"),
        (["prog", "--password", "hunter2", "-v"], "['prog', '--password', '[redacted]', '-v']"),
        ({"password": "hunter2"}.values(), "<dict_values object>"),
    ],
    ids=["tuple", "deque", "named tuple", "har", "key", "object", "args", "options", "values"],
)
def test_a_name_beside_its_value(hiding: Diagnosed, value: Any, text: str) -> None:
    assert hiding.values_of(show, value) == {"value": text}


@pytest.mark.parametrize(
    "other",
    [
        {**dict.fromkeys(range(80), 1), "password": "hunter2"},
        SimpleNamespace(**dict.fromkeys("abcdefghijkl", 1), password="hunter2"),
        SimpleNamespace(_password="hunter2"),
        [[[{"password": "hunter2"}]]],
        [[[SimpleNamespace(password="hunter2")]]],
    ],
    ids=["dict", "object", "private", "deep dict", "deep object"],
)
def test_a_secret_is_found_where_it_is_not_shown(hiding: Diagnosed, other: Any) -> None:
    def fail(value: str, other: Any) -> Any:
        return 1 / 0, value, other

    assert hiding.values_of(fail, "hunter2", other)["value"] == "'[redacted]'"


class Names(Enum):
    PASSWORD = "password"
    P = b"password"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (OrderedDict(password="hunter2"), "OrderedDict({'password': '[redacted]'})"),
        ({Names.P: "hunter2"}, "{Names.P: '[redacted]'}"),
        ({b"password": "hunter2"}, "{b'password': '[redacted]'}"),
        ({"password": "hunter2"}.items(), "<dict_items object>"),
        ([(b"password", b"hunter2")], "[(b'password', '[redacted]')]"),
        ([["Authorization", "Basic hunter2"]], "[['Authorization', '[redacted]']]"),
        (SimpleNamespace(password="hunter2", a=1), "<SimpleNamespace password='[redacted]', a=1>"),
    ],
    ids=["ordered", "enum", "bytes", "view", "pair", "list", "attribute"],
)
def test_values_with_keys(hiding: Diagnosed, value: Any, text: str) -> None:
    assert hiding.values_of(show, value) == {"value": text}


def test_pairs_by_the_keys_of_texts() -> None:
    one = Diagnosed(redact_text=True)
    found = one.values_of(show, [(b"authorization", b"Basic aHVudGVyMg=="), ("accept", "text")])
    assert found == {"value": "[(b'authorization', '[redacted]'), ('accept', 'text')]"}
    one.logger.close()
