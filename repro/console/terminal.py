"""Text for terminals with a limited character set: `α` becomes `alpha`, `−` becomes `-`, a bar becomes `#`."""

from __future__ import annotations

import codecs
import io
import re
import sys
import unicodedata

NAME = "repro.plain"  # name of the codec error handler
PLAIN = {
    "−": "-", "‐": "-", "‑": "-", "–": "-", "—": "-", "…": "...", "·": "*", "•": "*", "×": "x", "÷": "/", "±": "+/-", "∓": "-/+",
    "≤": "<=", "≥": ">=", "≠": "!=", "≈": "~", "≡": "=", "∞": "inf", "√": "sqrt", "∑": "sum", "∏": "prod", "★": "*", "∈": "in", "∪": "or", "∂": "d", "∝": "~",
    "→": "->", "←": "<-", "↔": "<->", "⇒": "=>", "↑": "^", "↓": "v", "“": '"', "”": '"', "„": '"', "‘": "'", "’": "'",
    "°": " deg", "µ": "u", "§": "section ", "€": "EUR", "✓": "v", "✔": "v", "✗": "x", "✘": "x", "\u00a0": " ", "\u2009": " ",
    "\u202f": " ", "░": ".", "▒": ":", "▓": "#", "▁": ".", "▂": ".", "▃": ":", "▄": ":", "▅": "+", "▆": "+", "▇": "#",
    "█": "#", "■": "#", "▌": "#", "▏": "|", "▕": "|", "∣": "|",
}  # fmt: skip


def plain(text: str) -> str:
    """`text` transliterated to ASCII; `?` for characters without a transliteration."""
    return "".join(character if character.isascii() else _likeness(character) for character in text)


def _likeness(character: str) -> str:
    if character in PLAIN:
        return PLAIN[character]
    name = unicodedata.name(character, "")
    words = name.split()
    if name.startswith("GREEK ") and "LETTER" in words:  # GREEK SMALL LETTER FINAL SIGMA, GREEK CAPITAL LETTER DELTA
        letter = next((word for word in words[words.index("LETTER") + 1 :] if word != "FINAL"), "?")
        return letter.capitalize() if "CAPITAL" in words else letter.lower()
    if name.startswith("BOX DRAWINGS "):
        has_corner = any(word in words for word in ("AND", "DOWN", "UP", "RIGHT", "LEFT"))
        return "+" if has_corner else "-" if "HORIZONTAL" in words else "|"
    if name.startswith("BRAILLE PATTERN"):  # rich's spinners
        return "*"
    if "\ud800" <= character <= "\udfff":  # an undecodable byte of a file name
        return "?"
    return unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode() or "?"


def _handler(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return plain(error.object[error.start : error.end]), error.end


codecs.register_error(NAME, _handler)


_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """`text` with control characters (except tabs and newlines) and bidirectional marks written as escapes.

    Untrusted text must not move the cursor, change colours, or hide or reorder what a terminal shows.
    """
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def one_line(text: str, most: int = 400) -> str:
    """`text` made printable, on one line, cut to at most `most` characters."""
    line = printable(" ".join(text[: 4 * most].split()))
    return line if len(line) <= most else f"{line[: most - 1]}…"


def adapt() -> None:
    """Makes standard output and standard error transliterate (`plain`) what they can't encode, instead of raising."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors != NAME:
            stream.reconfigure(errors=NAME)
