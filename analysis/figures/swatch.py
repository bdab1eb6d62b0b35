"""A look as a small SVG, for the keys of a page: what a mark or a line of it looks like in the figures."""

from __future__ import annotations

from analysis.figures import style
from analysis.figures.style import Look

# Around (0, 0), of about the same area.
_SHAPES = {
    "o": '<circle r="4.5"/>',
    "s": '<path d="M-4 -4h8v8h-8z"/>',
    "D": '<path d="M0 -5.5L5.5 0 0 5.5 -5.5 0z"/>',
    "^": '<path d="M0 -5L5 4H-5z"/>',
    "v": '<path d="M0 5L5 -4H-5z"/>',
    "P": '<path d="M-2 -5h4v3h3v4h-3v3h-4v-3h-3v-4h3z"/>',
    "h": '<path d="M0 -5L4.4 -2.5V2.5L0 5 -4.4 2.5V-2.5z"/>',
    "*": '<path d="M0 -6L1.5 -2 5.7 -1.9 2.4 .8 3.5 4.9 0 2.5 -3.5 4.9 -2.4 .8 -5.7 -1.9 -1.5 -2z"/>',
    "": "",
}


def swatch(look: Look, line: bool) -> str:
    """The mark, over a line where `line`; ink follows the page's, and a hollow mark shows its ground."""
    colour = "currentColor" if look.colour == style.INK else look.colour
    fill = colour if look.filled else "var(--card)"
    dash = "" if look.filled else ' stroke-dasharray="5 3"'
    drawn = f'<path d="M-13 0h26"{dash}/>' if line or not look.marker else ""
    return (
        '<svg class="swatch" width="28" height="14" viewBox="-14 -7 28 14" aria-hidden="true" '
        f'stroke="{colour}" stroke-width="1.5" fill="{fill}">{drawn}{_SHAPES[look.marker]}</svg>'
    )
