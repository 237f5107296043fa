"""A hook of mkdocs: CONTRIBUTING, SECURITY and CHANGELOG, which lie outside of docs/, become pages of the site.

Links stay right in both places: the sources link to the files, the site to the pages.
"""

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")


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
