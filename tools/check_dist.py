"""What is in an sdist and a wheel: `python tools/check_dist.py dist/*`. Exits with 1 and tells what is wrong.

The sdist must hold every file that git knows but those of the project's own housekeeping (without the `.pxi` and `.pxd`
files it would not build); the wheel the compiled core, its types and headers, the plugin for pytest, the entry points
of pyproject.toml, and no source of C or Cython.
"""

import configparser
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOT_SHIPPED = (".ci/", ".github/", ".gitignore", ".git-blame-ignore-revs", ".pre-commit-config.yaml")
IN_EVERY_WHEEL = {
    "logly/py.typed",
    "logly/_core.pyi",
    "logly/_core.pxd",
    "logly/__init__.py",
    "logly/__main__.py",
    "logly_pytest.py",
}


def sdist_faults(path: Path) -> list[str]:
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    missing = [name for name in tracked if name not in names and not name.startswith(NOT_SHIPPED)]
    suffixes = (".c", ".cpp", ".so", ".pyd", ".pyc")
    built = [name for name in names if name.endswith(suffixes) and name not in tracked]
    return [f"not in the sdist: {name}" for name in missing] + [f"in the sdist: {name}" for name in built]


def wheel_faults(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name and not name.endswith("/")}
    expected = {
        file.relative_to(ROOT).as_posix() for kind in ("py", "pxd", "pyi") for file in ROOT.glob(f"logly/**/*.{kind}")
    }
    expected |= IN_EVERY_WHEEL
    libraries = {name for name in names if name.endswith((".so", ".pyd", ".dylib"))}
    cores = {name for name in libraries if name.startswith("logly/_core.")}
    faults = [f"not in the wheel: {name}" for name in sorted(expected - names)]
    faults += [f"in the wheel: {name}" for name in sorted(names - expected - libraries)]
    faults += [f"in the wheel: {name}" for name in sorted(libraries - cores) if not name.startswith("logly.libs/")]
    if len(cores) != 1:
        faults.append(f"{len(cores)} compiled cores in the wheel")
    return faults


def entry_point_faults(path: Path) -> list[str]:
    """What pip makes commands of, and pytest finds its plugins by."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {"console_scripts": project["scripts"], **project["entry-points"]}
    found = configparser.ConfigParser(delimiters=("=",))
    found.optionxform = str
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith(".dist-info/entry_points.txt"):
                found.read_string(archive.read(name).decode())
    has = {group: dict(found[group]) for group in found.sections()}
    return [] if has == wanted else [f"entry points in the wheel: {has}, not {wanted}"]


def main(paths: list[str]) -> int:
    status = 0
    for path in map(Path, paths):
        faults = [*wheel_faults(path), *entry_point_faults(path)] if path.suffix == ".whl" else sdist_faults(path)
        for fault in faults:
            print(f"{path.name}: {fault}", file=sys.stderr)
        status = status or int(bool(faults))
        print(f"{path.name}: {'wrong' if faults else 'complete'}")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
