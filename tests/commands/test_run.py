"""`python -m logly run`: which Pythons get `install`, what they are told, and how the program ends."""

from __future__ import annotations

import ast
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from logly.bridge import at_start
from logly.commands.run import SITE, start_and_wait
from tests.bridge.oracle import SEES_CHANGES
from tests.support.programs import environment, run_module, run_python, start_python

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX's programs and signals")

IS_INSTALLED = "import logging, sys; m = sys.modules.get('logly.bridge.install'); print(m and m._installed is not None)"
"""Prints True where `install` is in force, None where logly is not even imported."""


def run(*words: object, **options: Any) -> subprocess.CompletedProcess[str]:
    return run_module("logly", "run", *words, **options)


def write(path: Path, text: str, mode: int = 0o644) -> Path:
    path.write_text(textwrap.dedent(text))
    path.chmod(mode)
    return path


# ---- what is started


def test_a_python_file_runs_by_this_python(tmp_path: Path) -> None:
    file = write(tmp_path / "app.py", f"{IS_INSTALLED}\nprint(sys.argv[1:], __name__)")
    assert run(file, "--help", "-m", "--").stdout == "True\n['--help', '-m', '--'] __main__\n"
    assert run("--", "app.py", cwd=tmp_path).stdout == "True\n[] __main__\n"


def test_a_module_runs_as_by_python_m(tmp_path: Path) -> None:
    write(tmp_path / "some_module.py", f"{IS_INSTALLED}\nprint(sys.argv[1:], __name__)")
    assert run("-m", "some_module", "-x", cwd=tmp_path).stdout == "True\n['-x'] __main__\n"


def test_the_options_of_the_interpreter_are_handed_on(tmp_path: Path) -> None:
    file = write(tmp_path / "app.py", "import sys; print(sys.flags.dev_mode, sys.flags.optimize)")
    assert run_python("-X", "dev", "-O", "-m", "logly", "run", file).stdout == "True 1\n"


@posix
def test_scripts_run_by_what_they_name(tmp_path: Path) -> None:
    code = f"{IS_INSTALLED}\nprint(sys.argv[1:])"
    for name in ("script", "script.py"):
        script = write(tmp_path / name, f"#!{sys.executable}\n{code}", 0o755)
        assert run(script, "a").stdout == "True\n['a']\n"
    assert run("script.py", "a", cwd=tmp_path).stdout == "True\n['a']\n"
    found = environment(PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert run("script", "a", env=found).stdout == "True\n['a']\n"
    # Without such a line: a Python file by this Python, any other by the shell.
    assert run(write(tmp_path / "plain.py", code, 0o755), "a").stdout == "True\n['a']\n"
    assert run(write(tmp_path / "plain", 'echo "shell $1"', 0o755), "a").stdout == "shell a\n"
    assert run("plain", "a", env=found).stdout == "shell a\n"


def test_wrong_words_end_with_2() -> None:
    for words in ([], ["-m"], ["--"], ["--write"], ["--write", "never", "x"], ["--unknown", "x"]):
        assert "error: " in run(*words, returncode=2).stderr
    assert "-m MODULE" in run("--help").stdout


# ---- how it ends


def test_the_exit_code_is_the_programs() -> None:
    run(sys.executable, "-c", "raise SystemExit(7)", returncode=7)


@posix
def test_the_process_is_the_programs() -> None:
    process = start_python("-m", "logly", "run", sys.executable, "-c", "import os; print(os.getpid())")
    assert process.communicate()[0] == f"{process.pid}\n"
    code = "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"
    run(sys.executable, "-c", code, returncode=-signal.SIGTERM)
    if shutil.which("sh"):  # not where an installed wheel is tested
        # CPython ignores SIGPIPE; a program that inherited that would complain here.
        assert run("sh", "-c", "yes | head -n 1").stdout == "y\n"


@posix
def test_what_does_not_start_ends_as_with_env(tmp_path: Path) -> None:
    for name in ("no-such-program", str(tmp_path / "none"), "", str(tmp_path / "none.py")):
        assert run(name, returncode=127).stderr == f"logly run: {name}: No such file or directory\n"
    file = write(tmp_path / "data", "x")
    assert run(file, returncode=126).stderr == f"logly run: {file}: Permission denied\n"
    run(tmp_path, returncode=126)
    script = write(tmp_path / "script", "#!/no/such/interpreter\n", 0o755)
    run(script, returncode=127)


def test_on_windows_it_is_a_child() -> None:
    assert start_and_wait([sys.executable, "-c", "raise SystemExit(7)"], environment()) == 7
    with pytest.raises(FileNotFoundError):
        start_and_wait(["no-such-program"], environment())


@posix
def test_where_stderr_is_closed_nothing_is_told(tmp_path: Path) -> None:
    words = f"{sys.executable} -m logly"
    for command in (f"{words} run no-such-program", f"{words} routes no_such", f"{words} recover {tmp_path}/none"):
        done = subprocess.run(["/bin/sh", "-c", f"{command} 2>&-"], capture_output=True, env=environment(), check=False)
        assert done.returncode != 0
        assert done.stdout == b""
    code = f"{IS_INSTALLED}"
    env = environment(LOGLY_WRITE="never", CODE=code)
    shell = f'{words} run {sys.executable} -c "$CODE" 2>&-'
    assert subprocess.run(["/bin/sh", "-c", shell], capture_output=True, env=env, check=True).stdout == b"False\n"


# ---- which Pythons


def test_the_oldest_python_understands_the_sitecustomize() -> None:
    tree = ast.parse((Path(SITE) / "sitecustomize.py").read_text(encoding="ascii"), feature_version=(3, 4))
    newer = (ast.JoinedStr, ast.AnnAssign, ast.Nonlocal, ast.Starred, ast.AsyncFunctionDef, ast.MatMult)
    assert [ast.dump(node) for node in ast.walk(tree) if isinstance(node, newer)] == []
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    assert all(function.returns is None and not function.args.kwonlyargs for function in functions)
    assert all(argument.annotation is None for function in functions for argument in function.args.args)
    assert all(node.cause is None for node in ast.walk(tree) if isinstance(node, ast.Raise))


NESTED = f"""
import multiprocessing, subprocess, sys
def ask():
    exec({IS_INSTALLED!r})
if __name__ == "__main__":
    subprocess.run([sys.executable, "-c", {IS_INSTALLED!r}], check=True)
    process = multiprocessing.get_context("spawn").Process(target=ask)
    process.start(); process.join()
    for options in ("-I", "-E", "-S"):
        code = "import sys, logging; print('logly' in sys.modules, 'sitecustomize' in sys.modules)"
        words = [sys.executable, options, "-c", code]
        subprocess.run(words, check=True)
"""


def test_children_get_it_too_and_those_that_look_for_nothing_do_not(tmp_path: Path) -> None:
    file = write(tmp_path / "nested.py", NESTED)
    plain = run_python(file).stdout.splitlines()
    assert run(file).stdout.splitlines() == ["True", "True", *plain[2:]]


def test_logly_is_imported_when_logging_is(tmp_path: Path) -> None:
    code = """
import sys
print("logly" in sys.modules, "logging" in sys.modules)
import logging
print("logly" in sys.modules, logging.__spec__.loader is logging.__loader__, type(logging.__loader__).__name__)
print([type(finder).__name__ for finder in sys.meta_path if "Logging" in type(finder).__name__])
"""
    assert run(sys.executable, "-c", code).stdout == "False False\nTrue True SourceFileLoader\n[]\n"


@pytest.mark.parametrize(
    "statement",
    ["import logly", "from logly import install", "from logly import StdlibHandler", "import logly.bridge.resolve"],
)
def test_a_program_that_imports_logly_itself_before_logging_has_it_too(statement: str) -> None:
    assert run(sys.executable, "-c", f"{statement}; {IS_INSTALLED}").stdout == "True\n"


def test_logging_that_is_imported_by_threads_at_once_is_installed_for_all() -> None:
    code = """
import sys, threading
seen = []
def ask():
    import logging
    seen.append(sys.modules["logly.bridge.install"]._installed is not None)
threads = [threading.Thread(target=ask) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(seen == [True] * 8)
"""
    assert run(sys.executable, "-c", code).stdout == "True\n"


def test_a_python_without_logly_starts_as_before(tmp_path: Path) -> None:
    run_python("-m", "venv", "--without-pip", tmp_path / "venv")
    python = tmp_path / "venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    code = "import sys, logging; print('logly' in sys.modules, 'sitecustomize' in sys.modules)"
    bare = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    plain = subprocess.run([python, "-c", code], cwd=tmp_path, env=bare, capture_output=True, check=True, text=True)
    bare["PYTHONPATH"] = SITE
    done = subprocess.run([python, "-c", code], cwd=tmp_path, env=bare, capture_output=True, check=True, text=True)
    assert (done.stdout, done.stderr) == (plain.stdout, "")
    # Another package has the name.
    (tmp_path / "logly").mkdir()
    write(tmp_path / "logly" / "__init__.py", "print('imported')")
    done = subprocess.run([python, "-c", code], cwd=tmp_path, env=bare, capture_output=True, check=True, text=True)
    assert (done.stdout, done.stderr) == (plain.stdout, "")
    # This one, compiled for another Python.
    shutil.rmtree(tmp_path / "logly")
    bridge = tmp_path / "logly" / "bridge"
    bridge.mkdir(parents=True)
    shutil.copy(at_start.__file__, bridge)
    for path, code_there in ((bridge.parent, "print('imported')"), (bridge, "")):
        write(path / "__init__.py", code_there)
    done = subprocess.run([python, "-c", code], cwd=tmp_path, env=bare, capture_output=True, check=True, text=True)
    assert (done.stdout, done.stderr) == (plain.stdout, "")


def test_logly_install_0_switches_it_off(tmp_path: Path) -> None:
    code = "import sys, logging; print('logly' in sys.modules); import os; print(os.environ.get('PYTHONPATH') or '')"
    off = environment(LOGLY_INSTALL="0")
    assert run(sys.executable, "-c", code, env=off).stdout == run_python("-c", code, env=off).stdout
    child = environment(Path(SITE), LOGLY_INSTALL="0")
    assert run_python("-c", code, env=child).stdout.startswith("False\n")


# ---- the sitecustomize of others


def test_the_folder_may_be_there_twice(tmp_path: Path) -> None:
    """As of two virtual environments, or by another name."""
    shutil.copytree(SITE, tmp_path / "site")
    write(tmp_path / "sitecustomize.py", "print('theirs')")
    for first, second in ((Path(SITE), tmp_path / "site"), (tmp_path / "site", Path(SITE))):
        env = environment(first, second, tmp_path)
        assert run_python("-c", IS_INSTALLED, env=env).stdout == "theirs\nTrue\n"
        assert run_python("-c", f"from logly import install; {IS_INSTALLED}", env=env).stdout == "theirs\nTrue\n"
    (tmp_path / "other").symlink_to(SITE)
    env = environment(tmp_path / "other", Path(SITE), Path(f"{SITE}{os.sep}"), tmp_path)
    assert run_python("-c", IS_INSTALLED, env=env).stdout == "theirs\nTrue\n"


ASKS_THE_NEXT = """
import os, sys
print("first", "sitecustomize" in sys.modules)
here = sys.path.index(os.path.dirname(__file__))
folder = sys.path.pop(here)
own = sys.modules.pop("sitecustomize")
try:
    import sitecustomize
except ImportError:
    sys.modules["sitecustomize"] = own
finally:
    sys.path.insert(here, folder)
"""


def test_another_that_runs_the_next_as_this_one_does(tmp_path: Path) -> None:
    """ddtrace-run has such a file. Whichever comes first, each runs once."""
    (tmp_path / "first").mkdir()
    write(tmp_path / "first" / "sitecustomize.py", ASKS_THE_NEXT)
    write(tmp_path / "sitecustomize.py", "print('last')")
    folders = [Path(SITE), tmp_path / "first"]
    for order in (folders, folders[::-1]):
        done = run_python("-c", IS_INSTALLED, env=environment(*order, tmp_path))
        assert done.stdout == "first True\nlast\nTrue\n"
        done = run_python("-c", IS_INSTALLED, env=environment(*order))
        assert done.stdout == "first True\nTrue\n"


def test_an_existing_sitecustomize_runs_as_before(tmp_path: Path) -> None:
    write(tmp_path / "sitecustomize.py", "import sys; print('theirs', __name__); sys.path.append('added'); mark = 1")
    code = f"import sys, sitecustomize; print(sitecustomize.mark, sitecustomize.__file__, sys.path[-1]); {IS_INSTALLED}"
    once = f"theirs sitecustomize\n1 {tmp_path / 'sitecustomize.py'} added\n"
    env = environment(tmp_path)
    assert run_python("-c", code, env=env).stdout == f"{once}None\n"
    # The first line is that of the Python that is `logly run` itself.
    assert run(sys.executable, "-c", code, env=env).stdout == f"theirs sitecustomize\n{once}True\n"


@pytest.mark.parametrize(
    "statement", ["raise ValueError('theirs')", "import nothing_such", "raise SystemExit(3)", "x ="]
)
def test_one_that_fails_fails_as_before(tmp_path: Path, statement: str) -> None:
    write(tmp_path / "sitecustomize.py", statement)
    code = f"import sys; print('sitecustomize' in sys.modules); {IS_INSTALLED}"
    plain = run_python("-c", code, env=environment(tmp_path), returncode=None, may_complain=True)
    with_logly = environment(Path(SITE), tmp_path)
    done = run_python("-c", code, env=with_logly, returncode=plain.returncode, may_complain=True)
    assert done.stdout == plain.stdout.replace("None", "True")
    # The traceback of a SystemExit shows where this file was imported.
    assert done.stderr == plain.stderr or "SystemExit" in statement


def test_the_path_stays_as_it_is() -> None:
    code = "import sys, os; print(sys.path); print(os.environ['PYTHONPATH'])"
    env = environment(Path(SITE))
    (first, second) = run_python("-c", code, env=env).stdout.splitlines()
    assert SITE in first
    assert run(sys.executable, "-c", code, env=env).stdout.splitlines() == [first, second]
    assert second.split(os.pathsep).count(SITE) == 1


# ---- settings


def test_settings_come_from_the_options_and_the_environment(tmp_path: Path) -> None:
    code = f"{IS_INSTALLED}; logger, *rest = m._installed.settings; print(logger is not None, rest)"
    assert run("--write", "call", "--handlers=keep", sys.executable, "-c", code).stdout == (
        "True\nFalse ['keep', 'call']\n"
    )
    env = environment(LOGLY_WRITE="soon", LOGLY_HANDLERS="")
    assert run(sys.executable, "-c", code, env=env).stdout == "True\nFalse ['serve', 'soon']\n"
    write(tmp_path / "logly.toml", "[logly]\nlevel = 'info'\n[[logly.sinks]]\npath = 'app.log'\n")
    assert run("--config", "logly.toml", sys.executable, "-c", code, cwd=tmp_path).stdout == (
        "True\nTrue ['serve', 'auto']\n"
    )
    assert run(sys.executable, "-c", code, cwd=tmp_path).stdout == "True\nTrue ['serve', 'auto']\n"
    env = environment(LOGLY_CONFIG="")
    assert run(sys.executable, "-c", code, cwd=tmp_path, env=env).stdout == "True\nFalse ['serve', 'auto']\n"


def test_a_wrong_setting_is_told_in_one_line_and_the_program_starts() -> None:
    env = environment(LOGLY_WRITE="never")
    done = run(sys.executable, "-c", IS_INSTALLED, env=env, may_complain=True)
    assert done.stdout == "False\n"
    (line,) = done.stderr.splitlines()
    assert line.startswith("logly: nothing is installed: ConfigError: write = 'never'")


def test_a_wrong_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "wrong.toml").write_text("[logly]\nlevel = 'nix'\n")
    for name in ("wrong.toml", "none.toml"):
        done = run("--config", name, sys.executable, "-c", "print(1)", cwd=tmp_path, returncode=2)
        assert done.stderr.startswith(f"logly run: {name}: ")
        assert done.stdout == ""


# ---- a server


@posix
def test_gunicorn_and_its_workers_are_served(tmp_path: Path) -> None:
    pytest.importorskip("gunicorn")
    write(
        tmp_path / "app.py",
        """
        import logging, os, signal, sys
        logging.basicConfig(filename="app.log", level="INFO", format="%(process)d %(message)s")
        log = logging.getLogger("app")
        def app(request, respond):
            log.info("asked for %s", request["PATH_INFO"])
            respond("200 OK", [("Content-Type", "text/plain")])
            found = [one for one in sys.modules["logly.bridge.install"].routes() if one.name == "app"]
            return [repr(found).encode()]
        """,
    )
    from http.client import HTTPConnection

    words = ("-m", "logly", "run", "-m", "gunicorn", "--bind", "127.0.0.1:0", "--workers", "2", "app:app")
    process = start_python(*words, cwd=tmp_path, stderr=subprocess.PIPE)
    try:
        assert process.stderr is not None
        line = next(line for line in process.stderr if "Listening at" in line)
        port = int(line.rpartition(":")[2].split()[0].rstrip(")"))
        said = b""
        for i in range(10):
            connection = HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("GET", f"/{i}")
            said += connection.getresponse().read()
            connection.close()
        assert not SEES_CHANGES or b"is_fast=True" in said  # the first call of a worker goes the way of logging
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 0
    lines = [line.split(" ", 1) for line in (tmp_path / "app.log").read_text().splitlines()]
    assert sorted(text for _, text in lines) == [f"asked for /{i}" for i in range(10)]
    assert str(process.pid) not in {pid for pid, _ in lines}
