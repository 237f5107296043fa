"""One code object run in many namespaces: each line bears the name of the namespace that ran it, and is filtered by it.

A dict of globals is not kept by logly. So the next one may come to the same address, and a dict may be given another
name: what was found out about a namespace must not outlive that.
"""

import gc
import itertools
import sys
import types
import weakref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logly import SinkConfig
from logly._core import IS_FREE_THREADED
from tests.support.lines import Lines
from tests.support.programs import run_program

RULE = compile("log('x')", "<rule>", "exec")
CALLS = {
    "text": "log('x')",
    "template": "log('{} {}', 1, 2)",
    "careful": "log('x', a=[1])",
    "stacklevel": "log('x', stacklevel=1)",
}
EACH_CALL = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
TENANTS = ["tenant_a", "tenant_a", "tenant_b", "tenant_b", "tenant_a", "tenant_c"] * 20


@pytest.fixture(scope="module")
def lines():
    lines = Lines(format="{module}")
    yield lines
    lines.close()


def made_name(name):
    """A str of its own, as one that came over a network."""
    return "".join(list(name))


@EACH_CALL
@pytest.mark.parametrize("make", [str, made_name], ids=["kept", "made"])
def test_a_rule_run_in_a_fresh_dict_each_time(lines, call, make):
    code = compile(call, "<rule>", "exec")
    for tenant in TENANTS:
        exec(code, {"log": lines.logger.info, "__name__": make(tenant)})
    assert lines.lines() == TENANTS


@EACH_CALL
def test_a_function_with_other_globals(lines, call):
    def rule():
        pass

    exec(f"def rule(): {call}", space := {})
    for tenant in TENANTS:
        types.FunctionType(space["rule"].__code__, {"log": lines.logger.info, "__name__": tenant})()
    assert lines.lines() == TENANTS


@EACH_CALL
def test_a_dict_whose_name_changes(lines, call):
    code = compile(call, "<rule>", "exec")
    space = {"log": lines.logger.info}
    for tenant in TENANTS:
        space["__name__"] = made_name(tenant)
        exec(code, space)
    del space["__name__"]
    exec(code, space)
    space["__name__"] = "back"
    exec(code, space)
    assert lines.lines() == [*TENANTS, "?", "back"]


RENAMINGS = {
    "assignment": lambda space, name: space.__setitem__("__name__", name),
    "a made key": lambda space, name: space.__setitem__(made_name("__name__"), name),
    "update": lambda space, name: space.update(__name__=name),
    "or": lambda space, name: space.__ior__({"__name__": name}),
    "clear": lambda space, name: (kept := dict(space), space.clear(), space.update(kept, __name__=name)),
    "pop": lambda space, name: (space.pop("__name__"), space.setdefault("__name__", name)),
    "global": lambda space, name: exec(f"__name__ = {name!r}", space),
    "declared": lambda space, name: exec(f"def f():\n    global __name__\n    __name__ = {name!r}\nf()", space),
}


@EACH_CALL
@pytest.mark.parametrize("rename", RENAMINGS.values(), ids=RENAMINGS)
def test_a_module_that_is_given_another_name(lines, call, rename, monkeypatch):
    module = types.ModuleType("first")
    monkeypatch.setitem(sys.modules, "first", module)
    monkeypatch.setitem(sys.modules, "second", module)
    module.log = lines.logger.info
    exec(f"def work(): {call}", vars(module))
    work = module.work
    for name in ("first", "second", "third", "second", "first"):
        rename(vars(module), made_name(name))
        for _ in range(3):
            work()
    assert lines.lines() == [name for name in ("first", "second", "third", "second", "first") for _ in range(3)]


def test_an_odd_key_that_equals_the_name_s(lines, monkeypatch):
    class Key:
        def __hash__(self):
            return hash("__name__")

        def __eq__(self, other):
            return other == "__name__"

    module = types.ModuleType("plain")
    monkeypatch.setitem(sys.modules, "plain", module)
    module.log = lines.logger.info
    exec("def work(): log('x')", vars(module))
    work = module.work
    work(), work()
    vars(module)[Key()] = "renamed"
    work(), work()
    assert lines.lines() == ["plain"] * 2 + ["renamed"] * 2


def test_modules_that_are_imported_again_and_again(lines, monkeypatch):
    """Each is a new module in a new dict, which may be where the one before was."""
    code = compile("def work(): log('x')\n", "<module>", "exec")
    names = [f"plugin_{i % 3}" for i in range(60)]
    for name in names:
        module = types.ModuleType(name)
        monkeypatch.setitem(sys.modules, name, module)
        module.log = lines.logger.info
        exec(code, vars(module))
        for _ in range(3):
            module.work()
        del sys.modules[name], module
        gc.collect(0)
    assert lines.lines() == [name for name in names for _ in range(3)]


def test_a_module_whose_globals_change_between_calls(lines, monkeypatch):
    module = types.ModuleType("counting")
    monkeypatch.setitem(sys.modules, "counting", module)
    module.log = lines.logger.info
    source = "count = 0\ndef work():\n    global count\n    count += 1\n    log('x')\n"
    exec(source, vars(module))
    for _ in range(100):
        module.work()
    vars(module)["more"] = 1
    module.work()
    assert lines.lines() == ["counting"] * 101


def test_two_modules_that_have_the_same_name_and_one_that_shares_their_code(lines, monkeypatch):
    code = compile("def work(): log('x')\n", "<module>", "exec")
    spaces = [{"__name__": name, "log": lines.logger.info} for name in ("same", "same", "other")]
    module = types.ModuleType("same")
    monkeypatch.setitem(sys.modules, "same", module)
    module.log = lines.logger.info
    spaces.append(vars(module))
    for space in spaces:
        exec(code, space)
    order = list(itertools.islice(itertools.cycle([3, 0, 3, 2, 1, 3, 3]), 70))
    for i in order:
        spaces[i]["work"]()
    assert lines.lines() == [spaces[i]["__name__"] for i in order]


@EACH_CALL
def test_a_sink_s_filter_goes_by_the_namespace(call):
    code = compile(call, "<rule>", "exec")
    with Lines(format="{module}", filter_module="tenant_a") as routed:
        everything = Lines(format="{module}")
        routed.logger.add_sink(SinkConfig(fd=everything.fd, format="{module}", filter_module="tenant_b"))
        for tenant in TENANTS:
            exec(code, {"log": routed.logger.info, "__name__": tenant})
        assert routed.lines() == [tenant for tenant in TENANTS if tenant == "tenant_a"]
        assert everything.lines() == [tenant for tenant in TENANTS if tenant == "tenant_b"]
        everything.close()


steps = st.lists(
    st.tuples(
        st.sampled_from(["exec", "function", "rename", "drop", "reuse", "assign"]),
        st.integers(0, 3),
        st.sampled_from(["a", "b", "c.d", "é"]),
    ),
    max_size=30,
)


@settings(max_examples=max(1, settings().max_examples // 4))
@given(steps)
def test_whatever_becomes_of_namespaces(lines, given_steps):
    spaces, expected, log = {}, [], lines.logger.info
    for what, which, name in given_steps:
        if what in ("exec", "reuse") and which not in spaces:
            module = types.ModuleType(name)
            if what == "exec":
                sys.modules[name] = module
            spaces[which] = vars(module)
            spaces[which]["log"] = log
            del module
        elif what == "rename" and which in spaces:
            spaces[which]["__name__"] = made_name(name)
        elif what == "assign" and which in spaces:
            spaces[which]["other"] = name
        elif what == "drop":
            spaces.pop(which, None)
            sys.modules.pop(name, None)
        if which in spaces:
            for _ in range(2):
                exec(RULE, spaces[which])
                expected.append(spaces[which]["__name__"])
        if what == "function":
            types.FunctionType(RULE, {"log": log, "__name__": name})()
            expected.append(name)
    for name in ("a", "b", "c.d", "é"):
        sys.modules.pop(name, None)
    assert lines.lines() == expected


def test_namespaces_are_not_kept(lines):
    class Held:
        pass

    alive = []
    for i in range(20):
        held = Held()
        alive.append(weakref.ref(held))
        exec(RULE, {"log": lines.logger.info, "__name__": f"t{i}", "held": held})
    module = types.ModuleType("held")
    sys.modules["held"] = module
    module.log, module.held = lines.logger.info, held
    exec(RULE, vars(module))
    if IS_FREE_THREADED:
        vars(module).clear()  # a 3.13 without a GIL makes modules immortal once there is a second thread
    del held, module, sys.modules["held"]
    gc.collect()
    assert [one for one in alive if one() is not None] == []
    assert len(lines.lines()) == 21


def test_the_name_is_there_when_the_interpreter_ends():
    program = """
import sys
from logly import Logger, SinkConfig
logger = Logger()
logger.add_sink(SinkConfig(fd=1, format="{module}|{message}", async_write=False))
class Late:
    def __init__(self):
        self.log = logger.info
        self.say('early')
    def __del__(self):
        self.say('late')
    def say(self, what):
        self.log(what)
Late.kept = Late()
sys.kept = [Late()]
"""
    done = run_program(program)
    assert done.stdout.splitlines() == ["__main__|early"] * 2 + ["__main__|late"] * 2


def test_a_thread_logs_while_its_module_is_imported(tmp_path):
    """The import waits for the thread, so the thread must not wait for the import's lock."""
    (tmp_path / "importing.py").write_text(
        """
import threading
from logly import Logger, LoggerConfig, SinkConfig

log = Logger(LoggerConfig(auto_sink=False))
log.add_sink(SinkConfig(path="app.log", format="{module} {message}"))

def work(number):
    for i in range(3):
        log.info("{} {}", number, i)

threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(2)]
for thread in threads:
    thread.start()
    thread.join(20)
log.close()
"""
    )
    run_program(f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import importing", cwd=tmp_path)
    assert (tmp_path / "app.log").read_text().splitlines() == [f"importing {n} {i}" for n in range(2) for i in range(3)]
