"""A small SVG writer: bars, pairs of bars, and dots on a logarithmic axis.

Readable on light and dark pages, and at the width of a phone: a picture is 480 wide, and each label has a line of its
own above what it names, so that the text is as large as the page's even where the picture is scaled to 360 pixels.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from html import escape

WIDTH, MARGIN = 480, 12
PLOT_WIDTH = WIDTH - 2 * MARGIN
ROW, SERIES = 42, 6
LEGEND_COLUMNS = 3
STYLE = """
  text { font: 15px system-ui, sans-serif; fill: #24292f }
  .title { font-size: 18px; font-weight: 600 } .small { font-size: 13px; fill: #57606a }
  .own { font-weight: 700 } .grid { stroke: #d0d7de; stroke-width: 1 }
  .span { stroke: #afb8c1; stroke-width: 2 } circle { stroke: #ffffff; stroke-width: 1 }
  .s0 { fill: #0969da } .s1 { fill: #bc4c00 } .s2 { fill: #1a7f37 } .s3 { fill: #8250df }
  .s4 { fill: #bf3989 }
  .s5 { fill: #6e7781 } .bar { fill: #8c959f } .ownbar { fill: #0969da }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } circle { stroke: #0d1117 } .small { fill: #9198a1 }
    .grid { stroke: #30363d } .span { stroke: #545d68 }
    .s0 { fill: #58a6ff } .s1 { fill: #f0883e } .s2 { fill: #3fb950 } .s3 { fill: #bc8cff }
    .s4 { fill: #f778ba }
    .s5 { fill: #8b949e } .bar { fill: #6e7681 } .ownbar { fill: #58a6ff }
  }
"""


def document(title: str, subtitle: str, body: Sequence[str], height: float) -> str:
    """The body is drawn from y = 0 on, below the heading."""
    heading = [f'<text x="{MARGIN}" y="24" class="title">{escape(title)}</text>']
    y = 26
    for line in textwrap.wrap(subtitle, 66):
        y += 18
        heading.append(f'<text x="{MARGIN}" y="{y}" class="small">{escape(line)}</text>')
    whole = y + 14 + height
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {whole:.0f}" width="{WIDTH}"'
            f' height="{whole:.0f}" role="img" aria-label="{escape(title)}">',
            f"<style>{STYLE}</style>",
            *heading,
            f'<g transform="translate(0 {y + 14})">',
            *body,
            "</g>",
            "</svg>\n",
        ]
    )


def row_label(label: str, y: float, at_the_end: str = "") -> list[str]:
    """The label on the left, and what belongs to it on the right."""
    own = ' class="own"' if label.startswith("logly") else ""
    found = [f'<text x="{MARGIN}" y="{y:.0f}"{own}>{escape(label)}</text>']
    if at_the_end:
        found.append(f'<text x="{WIDTH - MARGIN}" y="{y:.0f}" text-anchor="end"{own}>{escape(at_the_end)}</text>')
    return found


def engineering(value: float, unit: str) -> str:
    """1234567 "lines/s" -> "1.23 M"; nanoseconds become us, ms, s."""
    if unit == "ns":
        for factor, name in ((1e9, "s"), (1e6, "ms"), (1e3, "µs")):
            if value >= factor:
                return f"{value / factor:.3g} {name}"
        return f"{value:.3g} ns"
    for factor, prefix in ((1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:.3g} {prefix}"
    return f"{value:.3g}"


def legend(names: Sequence[str]) -> tuple[list[str], float]:
    """A dot and a name for each series; and how high that is."""
    body = []
    for index, name in enumerate(names):
        x = MARGIN + 6 + index % LEGEND_COLUMNS * PLOT_WIDTH / LEGEND_COLUMNS
        y = 10 + index // LEGEND_COLUMNS * 20
        body.append(f'<circle cx="{x:.1f}" cy="{y}" r="5" class="s{index}"/>')
        body.append(f'<text x="{x + 10:.1f}" y="{y + 4}" class="small">{escape(name)}</text>')
    return body, math.ceil(len(names) / LEGEND_COLUMNS) * 20 + 8


def log_dots(title: str, subtitle: str, unit: str, rows: Sequence[tuple[str, dict[str, float], str]]) -> str:
    """One row per peer, one dot per series (at most six), on a logarithmic axis; or a word where there is no dot."""
    values = [value for _, series, _ in rows for value in series.values() if value > 0]
    names = list(dict.fromkeys(name for _, series, _ in rows for name in series))[:SERIES]
    if not values:
        return document(title, "no results", [], 0)
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    high = max(high, low + 1)

    def place(value: float) -> float:
        return MARGIN + 6 + (math.log10(value) - low) / (high - low) * (PLOT_WIDTH - 12)

    body, top = legend(names)
    bottom = top + ROW * len(rows)
    for power in range(low, high + 1):
        x = place(10.0**power)
        body.append(f'<line x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{bottom}" class="grid"/>')
        anchor = {low: "start", high: "end"}.get(power, "middle")
        x = {low: float(MARGIN), high: float(WIDTH - MARGIN)}.get(power, x)
        tick = engineering(10.0**power, unit)
        body.append(f'<text x="{x:.1f}" y="{bottom + 16}" class="small" text-anchor="{anchor}">{tick}</text>')
    for number, (label, series, word) in enumerate(rows):
        y = top + ROW * number + 17
        shown = {name: value for name, value in series.items() if name in names and value > 0}
        body += row_label(label, y)
        y += 12
        if not shown:
            body.append(f'<text x="{MARGIN}" y="{y + 4:.0f}" class="small">{escape(word)}</text>')
            continue
        left, right = place(min(shown.values())), place(max(shown.values()))
        body.append(f'<line x1="{left:.1f}" y1="{y}" x2="{right:.1f}" y2="{y}" class="span"/>')
        for name, value in shown.items():
            hint = f"{escape(label)}, {escape(name)}: {engineering(value, unit)}"
            body.append(
                f'<circle cx="{place(value):.1f}" cy="{y}" r="5" class="s{names.index(name)}">'
                f"<title>{hint}</title></circle>"
            )
    return document(title, subtitle, body, bottom + 28)


def bar(y: float, length: float, kind: str) -> str:
    return f'<rect x="{MARGIN}" y="{y:.0f}" width="{max(1.5, length):.1f}" height="10" rx="2" class="{kind}"/>'


def bars(title: str, subtitle: str, unit: str, rows: Sequence[tuple[str, float, str]]) -> str:
    """One bar per peer from zero, with its value beside the label; or a word where there is no value."""
    longest = max((value for _, value, _ in rows), default=1.0) or 1.0
    body = []
    for number, (label, value, word) in enumerate(rows):
        y = ROW * number
        body += row_label(label, y + 15, "" if word else engineering(value, unit))
        if word:
            body.append(f'<text x="{MARGIN}" y="{y + 31:.0f}" class="small">{escape(word)}</text>')
            continue
        kind = "ownbar" if label.startswith("logly") else "bar"
        body.append(bar(y + 21, value / longest * PLOT_WIDTH, kind))
    return document(title, subtitle, body, ROW * len(rows) + 6)


def pairs(title: str, subtitle: str, unit: str, rows: Sequence[tuple[str, float, float]]) -> str:
    """Two bars per row from zero, before (grey) and after (blue), with both values beside the label."""
    longest = max((max(before, after) for _, before, after in rows), default=1.0) or 1.0
    body = []
    for number, (label, before, after) in enumerate(rows):
        y = (ROW + 12) * number
        body += row_label(label, y + 15, f"{engineering(before, unit)} → {engineering(after, unit)}")
        body.append(bar(y + 21, before / longest * PLOT_WIDTH, "bar"))
        body.append(bar(y + 33, after / longest * PLOT_WIDTH, "ownbar"))
    return document(title, subtitle, body, (ROW + 12) * len(rows) + 6)
