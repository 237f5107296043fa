"""Pictures of the console, for docs/console.md: the same program with logly, loguru, structlog and rich.

    python tools/console_pictures.py            # all of them, into docs/images
    python tools/console_pictures.py --show     # prints what logly writes, to this terminal

Each program runs on a terminal of its own with 100 columns. What it writes becomes SVG, once with the usual colours of
a dark terminal, once with those of a light one. A library that is not installed has no picture.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import pty
import re
import subprocess
import sys
import tempfile
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"

CALLS = """

def total(order):
    return sum(price * count for price, count in order["lines"]) / order["buyers"]


logger.debug("connecting to the database")
logger.info("listening", HOST)
logger.info("order 17 filled", ORDER)
logger.warning("slow query", QUERY)
logger.error("payment refused", PAYMENT)
try:
    total({"lines": [(9.5, 2), (3, 1)], "buyers": 0})
except ZeroDivisionError:
    logger.exception("report failed")
"""
FIELDS = {
    "HOST": 'host="0.0.0.0", port=8080',
    "ORDER": 'symbol="ABCD", price=3.14',
    "QUERY": 'ms=812, table="orders"',
    "PAYMENT": 'user="ann", code=402',
}
BEGINNINGS = {
    "logly": "from logly import Logger\n\nlogger = Logger(level='debug')\n",
    "loguru": "import sys\n\nfrom loguru import logger\n\nlogger.remove()\n"
    "logger.add(sys.stderr, format='<green>{time:YYYY-MM-DD HH:mm:ss.SSS}</green> | <level>{level: <8}</level> | "
    "<cyan>{name}</cyan>:<cyan>{function}</cyan>:<cyan>{line}</cyan> - <level>{message}</level> {extra}')\n",
    "structlog": "from structlog import get_logger\n\nlogger = get_logger()\n",
    "rich": "import logging\n\nfrom rich.logging import RichHandler\n\n"
    "logging.basicConfig(level='DEBUG', format='%(message)s', handlers=[RichHandler(rich_tracebacks=True)])\n"
    "logger = logging.getLogger('shop')\n",
}


def program_of(library: str) -> str:
    """The program in the words of a library. `logging` has no fields: there they are text."""
    calls = CALLS
    for name, fields in FIELDS.items():
        if library == "rich":
            shown = fields.replace('"', "").replace(",", "")
            calls = re.sub(rf'"([^"]*)", {name}\)', rf'"\1 {shown}")', calls)
        elif library == "loguru":
            calls = re.sub(rf'logger\.(\w+)\("([^"]*)", {name}\)', rf'logger.bind({fields}).\1("\2")', calls)
        else:
            calls = calls.replace(name, fields)
    return BEGINNINGS[library] + calls


def written_by(library: str, *, columns: int = 100) -> str:
    """What the program writes to a terminal."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "shop.py").write_text(program_of(library))
        master, fd = pty.openpty()
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(columns), "PYTHONPATH": path}
        for name in ("NO_COLOR", "FORCE_COLOR"):
            environment.pop(name, None)
        words = [sys.executable, "shop.py"]
        process = subprocess.Popen(words, stdin=fd, stdout=fd, stderr=fd, cwd=folder, env=environment)
        os.close(fd)
        seen = b""
        while True:
            try:
                piece = os.read(master, 65536)
            except OSError:
                break
            if not piece:
                break
            seen += piece
        process.wait()
        os.close(master)
        return in_srv(seen.decode().replace("\r\n", "\n"), folder)


def in_srv(text: str, folder: str) -> str:
    """The text with /srv in place of the folder. A frame at the right, which rich draws, stays where it was."""
    lines = []
    for line in text.split("\n"):
        shorter = line.replace(folder, "/srv")
        head, frame, rest = shorter.rpartition("\N{BOX DRAWINGS LIGHT VERTICAL}")
        if frame and not re.sub(r"\x1b\[[\d;]*m", "", rest).strip():
            head += " " * (len(line) - len(shorter))
        lines.append(head + frame + rest)
    return "\n".join(lines)


# ---- from escape sequences to SVG

DARK = ["#2e3436", "#ef2929", "#8ae234", "#fce94f", "#729fcf", "#ad7fa8", "#34e2e2", "#d3d7cf"]
LIGHT = ["#000000", "#cc0000", "#3a7d06", "#a07000", "#3465a4", "#75507b", "#06787a", "#d3d7cf"]
GROUNDS = {"dark": ("#1e1e1e", "#d4d4d4", DARK), "light": ("#ffffff", "#1a1a1a", LIGHT)}
WIDTH, HEIGHT, SIZE = 7.8, 17, 13
MOST_COLUMNS = 118
FONT = "font-family=\"'DejaVu Sans Mono', Menlo, Consolas, monospace\""


def spans_of(line: str, state: dict[str, object]) -> list[tuple[str, dict[str, object]]]:
    """The parts of a line with the style of each. `state` goes on from line to line."""
    spans: list[tuple[str, dict[str, object]]] = []
    for part in re.split(r"(\x1b\[[\d;]*m)", line):
        found = re.fullmatch(r"\x1b\[([\d;]*)m", part)
        if not found:
            text = re.sub(r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b\[[?\d;]*[A-Za-z]", "", part)
            if text:
                spans.append((text, dict(state)))
            continue
        codes = [int(code or 0) for code in found[1].split(";")]
        while codes:
            apply(codes, state)
    return spans


def apply(codes: list[int], state: dict[str, object]) -> None:
    """Take one code, with the numbers that belong to it, into the style."""
    code = codes.pop(0)
    if code == 0:
        state.clear()
    elif code in (1, 2, 3, 4):
        state[("", "bold", "dim", "italic", "underline")[code]] = True
    elif code == 22:
        state.pop("bold", None)
        state.pop("dim", None)
    elif code in (38, 48):
        kind = codes.pop(0) if codes else 0
        taken = [codes.pop(0) for _ in range(1 if kind == 5 else 3) if codes]
        state["color" if code == 38 else "ground"] = taken[0] % 8 if kind == 5 else taken
    elif 30 <= code <= 37 or 90 <= code <= 97:
        state["color"] = code % 10
    elif 40 <= code <= 47:
        state["ground"] = code % 10
    elif code == 39:
        state.pop("color", None)
    elif code == 49:
        state.pop("ground", None)


def color_of(value: object, palette: list[str]) -> str:
    """The colour as SVG has it."""
    if isinstance(value, list):
        return "#" + "".join(f"{part:02x}" for part in value)
    assert isinstance(value, int)
    return palette[value]


def svg_of(text: str, ground: str) -> str:
    """A picture of what was written."""
    back, front, palette = GROUNDS[ground]
    lines = [line for whole in text.rstrip("\n").split("\n") for line in [whole]]
    height = HEIGHT * len(lines) + 20
    width = round(WIDTH * MOST_COLUMNS + 20)
    made = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-size="{SIZE}" {FONT}>',
        f'<rect width="100%" height="100%" rx="6" fill="{back}"/>',
    ]
    state: dict[str, object] = {}
    for number, line in enumerate(lines):
        column, y = 0, HEIGHT * number + 24
        for part, style in spans_of(line, state):
            part = part[: max(0, MOST_COLUMNS - column)]
            x = 10 + column * WIDTH
            if "ground" in style:
                fill = color_of(style["ground"], palette)
                size = f'width="{len(part) * WIDTH:.1f}" height="{HEIGHT}"'
                made.append(f'<rect x="{x:.1f}" y="{y - 13}" {size} fill="{fill}"/>')
            look = f'fill="{color_of(style["color"], palette) if "color" in style else front}"'
            look += ' font-weight="bold"' * ("bold" in style) + ' font-style="italic"' * ("italic" in style)
            look += ' opacity="0.6"' * ("dim" in style) + ' text-decoration="underline"' * ("underline" in style)
            if part.strip():
                length = f'textLength="{len(part) * WIDTH:.1f}" lengthAdjust="spacingAndGlyphs"'
                made.append(f'<text x="{x:.1f}" y="{y}" {length} xml:space="preserve" {look}>{escape(part)}</text>')
            column += len(part)
    return "\n".join([*made, "</svg>", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--show", action="store_true", help="print what logly writes, and make no pictures")
    if parser.parse_args().show:
        sys.stdout.write(written_by("logly"))
        return
    IMAGES.mkdir(exist_ok=True)
    for library in BEGINNINGS:
        if importlib.util.find_spec(library) is None:
            print(f"{library} is not installed")
            continue
        text = written_by(library)
        for ground in GROUNDS:
            path = IMAGES / f"console-{library}-{ground}.svg"
            path.write_text(svg_of(text, ground), encoding="utf-8")
            print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
