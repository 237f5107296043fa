"""A small SVG writer: dots on a logarithmic axis and horizontal bars, readable on light and dark pages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

LABEL_WIDTH, PLOT_WIDTH, RIGHT, ROW, TOP = 224, 560, 80, 26, 80
SERIES = 6
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .title { font-size: 16px; font-weight: 600 } .small { font-size: 11px; fill: #57606a }
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


def document(title: str, subtitle: str, height: int, body: Sequence[str]) -> str:
    width = LABEL_WIDTH + PLOT_WIDTH + RIGHT
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}"'
            f' height="{height}" role="img" aria-label="{escape(title)}">',
            f"<style>{STYLE}</style>",
            f'<text x="8" y="22" class="title">{escape(title)}</text>',
            f'<text x="8" y="41" class="small">{escape(subtitle)}</text>',
            *body,
            "</svg>\n",
        ]
    )


def row_label(label: str, y: float) -> str:
    own = ' class="own"' if label.startswith("logly") else ""
    return f'<text x="{LABEL_WIDTH - 10}" y="{y + 4}" text-anchor="end"{own}>{escape(label)}</text>'


def engineering(value: float, unit: str) -> str:
    """1234567 "lines/s" -> "1.23 M lines/s"; nanoseconds become us, ms, s."""
    if unit == "ns":
        for factor, name in ((1e9, "s"), (1e6, "ms"), (1e3, "µs")):
            if value >= factor:
                return f"{value / factor:.3g} {name}"
        return f"{value:.3g} ns"
    for factor, prefix in ((1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:.3g} {prefix}"
    return f"{value:.3g}"


def log_dots(title: str, subtitle: str, unit: str, rows: Sequence[tuple[str, dict[str, float], str]]) -> str:
    """One row per peer, one dot per series (at most six), on a logarithmic axis; or a word where there is no dot."""
    values = [value for _, series, _ in rows for value in series.values() if value > 0]
    names = list(dict.fromkeys(name for _, series, _ in rows for name in series))[:SERIES]
    if not values:
        return document(title, "no results", TOP, [])
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    high = max(high, low + 1)

    def place(value: float) -> float:
        return LABEL_WIDTH + (math.log10(value) - low) / (high - low) * PLOT_WIDTH

    bottom = TOP + ROW * len(rows)
    body = []
    for index, name in enumerate(names):
        x = 14 + index * (LABEL_WIDTH + PLOT_WIDTH) / SERIES
        body.append(f'<circle cx="{x:.1f}" cy="61" r="5" class="s{index}"/>')
        body.append(f'<text x="{x + 9:.1f}" y="65" class="small">{escape(name)}</text>')
    for power in range(low, high + 1):
        x = place(10.0**power)
        body.append(f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{bottom}" class="grid"/>')
        tick = engineering(10.0**power, unit)
        body.append(f'<text x="{x:.1f}" y="{bottom + 16}" class="small" text-anchor="middle">{tick}</text>')
    for number, (label, series, word) in enumerate(rows):
        y = TOP + ROW * number + ROW / 2
        body.append(row_label(label, y))
        shown = {name: value for name, value in series.items() if name in names and value > 0}
        if not shown:
            body.append(f'<text x="{LABEL_WIDTH + 6}" y="{y + 4}" class="small">{escape(word)}</text>')
            continue
        left, right = place(min(shown.values())), place(max(shown.values()))
        body.append(f'<line x1="{left:.1f}" y1="{y}" x2="{right:.1f}" y2="{y}" class="span"/>')
        for name, value in shown.items():
            hint = f"{escape(label)}, {escape(name)}: {engineering(value, unit)}"
            body.append(
                f'<circle cx="{place(value):.1f}" cy="{y}" r="5" class="s{names.index(name)}">'
                f"<title>{hint}</title></circle>"
            )
    return document(title, subtitle, bottom + 28, body)


def bars(title: str, subtitle: str, unit: str, rows: Sequence[tuple[str, float, str]]) -> str:
    """One bar per peer from zero, with its value at the end; or a word where there is no value."""
    longest = max((value for _, value, _ in rows), default=1.0) or 1.0
    body = []
    for number, (label, value, word) in enumerate(rows):
        y = TOP - 22 + ROW * number + ROW / 2
        kind = "ownbar" if label.startswith("logly") else "bar"
        length = max(1.0, value / longest * PLOT_WIDTH)
        body.append(row_label(label, y))
        if word:
            body.append(f'<text x="{LABEL_WIDTH + 6}" y="{y + 4}" class="small">{escape(word)}</text>')
            continue
        body.append(f'<rect x="{LABEL_WIDTH}" y="{y - 8}" width="{length:.1f}" height="16" rx="2" class="{kind}"/>')
        body.append(
            f'<text x="{LABEL_WIDTH + length + 6:.1f}" y="{y + 4}" class="small">{engineering(value, unit)}</text>'
        )
    return document(title, subtitle, TOP + ROW * len(rows), body)
