"""A bar chart as SVG: each goal is 1, and a bar says how far it was reached."""

from collections.abc import Sequence
from html import escape

WIDTH, LABEL, ROW, LONGEST = 760, 260, 22, 2.0
REACHED, MISSED, LINE = "#4c8c4a", "#c46210", "#666666"


def bars(shares: Sequence[tuple[str, float]]) -> str:
    """Draw a bar for each share; the line stands at 1, where the goal is."""
    height = ROW * (len(shares) + 1)
    unit = (WIDTH - LABEL - 60) / LONGEST
    goal = LABEL + unit
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}">',
        "<style>text { font: 12px sans-serif }</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="{goal}" y="14" text-anchor="middle" fill="{LINE}">goal</text>',
        f'<line x1="{goal}" x2="{goal}" y1="18" y2="{height}" stroke="{LINE}"/>',
    ]
    for row, (label, share) in enumerate(shares, start=1):
        top = ROW * row
        width = unit * min(share, LONGEST)
        colour = REACHED if share >= 1 else MISSED
        drawn += [
            f'<text x="{LABEL - 8}" y="{top + 14}" text-anchor="end">{escape(label)}</text>',
            f'<rect x="{LABEL}" y="{top + 3}" width="{width:.1f}" height="14" fill="{colour}"/>',
            f'<text x="{LABEL + width + 6:.1f}" y="{top + 14}">{share:.2f}</text>',
        ]
    return "\n".join([*drawn, "</svg>\n"])
