"""The chart of a run: one bar for each figure, as long as the share of its limit that it takes."""

from dataclasses import dataclass
from html import escape

WIDTH, ROW, BAR, LABEL, TOP = 960, 40, 13, 400, 64
SCALE = 420  # pixels from nothing to the limit
COLOURS = ("#2f6f8f", "#8fbcd4")
OVER = "#c2542d"


@dataclass(frozen=True, kw_only=True)
class Series:
    """The bars of one run: what each is of, and its share of the limit."""

    title: str
    bars: list[tuple[str, float]]


def draw(series: list[Series]) -> str:
    """The chart as SVG; it stands on its own and on any background."""
    height = TOP + ROW * len(series[0].bars) + 24
    out = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
            'font-family="system-ui, sans-serif" font-size="13">'
        ),
        "<title>Each figure as a share of its limit</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        (
            '<text x="16" y="26" font-size="16" fill="#1c2b33">'
            "Each figure as a share of its limit (shorter is better)</text>"
        ),
    ]
    for number, one in enumerate(series):
        x = 16 + 130 * number
        out.append(f'<rect x="{x}" y="38" width="12" height="12" fill="{COLOURS[number]}"/>')
        out.append(f'<text x="{x + 18}" y="49" fill="#1c2b33">{escape(one.title)}</text>')
    for row, (name, _) in enumerate(series[0].bars):
        y = TOP + ROW * row
        out.append(
            f'<text x="{LABEL - 12}" y="{y + 19}" text-anchor="end" fill="#1c2b33">'
            f"{escape(name)}</text>"
        )
        for number, one in enumerate(series):
            share = one.bars[row][1]
            out += _bar(y + number * (BAR + 1), share, COLOURS[number])
    out.append(
        f'<line x1="{LABEL + SCALE}" y1="{TOP - 6}" x2="{LABEL + SCALE}" y2="{height - 16}" '
        'stroke="#1c2b33" stroke-dasharray="3 3"/>'
    )
    out.append(f'<text x="{LABEL + SCALE + 6}" y="{TOP - 8}" fill="#1c2b33">limit</text>')
    return "\n".join([*out, "</svg>"]) + "\n"


def _bar(y: int, share: float, colour: str) -> list[str]:
    length = min(share * SCALE, WIDTH - LABEL - 48)
    shown = OVER if share > 1 else colour
    return [
        f'<rect x="{LABEL}" y="{y}" width="{length:.0f}" height="{BAR}" fill="{shown}"/>',
        (
            f'<text x="{LABEL + length + 6:.0f}" y="{y + 11}" font-size="11" fill="#1c2b33">'
            f"{share:.0%}</text>"
        ),
    ]
