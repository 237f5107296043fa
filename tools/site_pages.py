"""A hook of mkdocs: the pages at the root become pages of the site, tables get what a narrow screen needs.

A page that has a browser fetch something from elsewhere is refused.

CONTRIBUTING, SECURITY and CHANGELOG lie outside of docs/. Links stay right in both places: the sources link to the
files, the site to the pages.
"""

import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")

TABLE = re.compile(r"<table>.*?</table>", re.DOTALL)
ROW = re.compile(r"<tr>.*?</tr>", re.DOTALL)
CELL = re.compile(r"<(t[dh])([^>]*)>(.*?)</\1>", re.DOTALL)
ELSEWHERE = re.compile(r"<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=\"(?:https?:)?//[^>]*>")
TAG = re.compile(r"<[^>]+>")
LONG_CHARACTERS = 40
"""A cell with so much text is not squeezed into a narrow column."""
SETTING = ["field", "type", "unit", "default", "meaning"]


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages."""
    for name in NAMES:
        text = (ROOT / name).read_text(encoding="utf-8").replace("](docs/", "](")
        files.append(File.generated(config, name.lower(), content=text))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Has links of other pages lead to them."""
    for name in NAMES:
        markdown = markdown.replace(f"](../{name}", f"]({name.lower()}")
    return markdown


def on_page_content(html: str, **_: Any) -> str:
    """Mends the tables of a page."""
    return TABLE.sub(lambda table: mend_table(table[0]), html)


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Refuses a page that has a reader's browser ask another host."""
    found = ELSEWHERE.search(output)
    if found:
        raise PluginError(f"{page.file.src_uri} fetches something from elsewhere: {found[0]}")
    return output


def on_post_build(config: Any, **_: Any) -> None:
    """Writes the index of the search as a script, too: a page that was opened as a file can read no other file."""
    index = Path(config.site_dir) / "search" / "search_index.json"
    index.with_suffix(".js").write_text(f"var __index = {index.read_text(encoding='utf-8')}", encoding="utf-8")


def mend_table(table: str) -> str:
    """Folds columns of tests, marks long cells, and takes the backslash out of `int \\| None`."""
    first_row = ROW.search(table)
    headings = [TAG.sub("", cell[3]) for cell in CELL.finditer(first_row[0])] if first_row else []
    if headings == SETTING:
        table = ROW.sub(lambda row: narrow_setting(row[0]), table)
    tests = {place for place, heading in enumerate(headings) if heading.startswith("shown by")}
    return ROW.sub(lambda row: mend_row(row[0], tests), table)


def narrow_setting(row: str) -> str:
    """The type of a setting below its name, and the unit behind its default: its meaning stays on the screen."""
    field, kind, unit, default, meaning = (cell[3].strip() for cell in CELL.finditer(row))
    if "<th" in row:
        return "<tr><th>field, type</th><th>default, unit</th><th>meaning</th></tr>"
    shown = default if unit in ("-", "bytes") else f"{default} {unit}"
    kind = kind.replace(r"\| ", "| ").replace(" | ", "</code> | <code>")
    return f"<tr><td><strong>{field}</strong><br>{kind}</td><td>{shown}</td><td>{meaning}</td></tr>"


def mend_row(row: str, tests: set[int]) -> str:
    places = iter(range(row.count("</t")))
    return CELL.sub(lambda cell: mend_cell(cell, next(places) in tests), row)


def mend_cell(cell: re.Match[str], is_of_tests: bool) -> str:
    kind, attributes, text = cell.groups()
    text = text.replace(r"\|", "|")
    if kind == "td" and is_of_tests and "test_" in text:
        count = len(re.findall(r"<code>[^<]*test_", text))
        name = "1 test" if count == 1 else f"{count} tests"
        text = f"<details><summary>{name}</summary>{text}</details>"
    elif kind == "td" and len(TAG.sub("", text)) > LONG_CHARACTERS:
        attributes += ' class="long"'
    return f"<{kind}{attributes}>{text}</{kind}>"
