"""Documentation made plain: markup removed, labels and repeated strings left out."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator

from repro.corpus.documents import Document

# Shorter strings are labels ("The resource type."), not prose.
MIN_CHARACTERS = 30

# Inline tags occur inside words and before punctuation; every other tag separates blocks of text.
_INLINE = re.compile(r"</?(?:a|b|code|em|i|strong|span|sup|sub|tt|u)\b[^>]*>", re.IGNORECASE)
_TAG = re.compile(r"</?[a-zA-Z][^>]*>")
_FENCED = re.compile(r"^ *(```|~~~).*?^ *\1 *$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\[([^\[\]]+)\]\([^()\s]*\)")
_ROLE = re.compile(r"(?::[a-z]+)+:`~?([^`<]*?)\s*(?:<[^>`]*>)?`")
_REFERENCE = re.compile(r"`([^`<]+?)\s*(?:<[^>`]*>)?`__?")
_FIELD = re.compile(r"^:([a-z]+)\b[^\n]*?:(?= |$)")


def unique(found: Iterable[Document]) -> Iterator[Document]:
    """The documents whose text is prose, each text once: generated documentation repeats strings thousands of times."""
    seen: set[str] = set()
    for document in found:
        if len(document.text) >= MIN_CHARACTERS and document.text not in seen:
            seen.add(document.text)
            yield document


def strip_markup(markup: str) -> str:
    """Plain text of an HTML fragment: tags removed, entities resolved, white space collapsed."""
    return " ".join(html.unescape(_TAG.sub(" ", _INLINE.sub("", markup))).split())


def strip_markdown(text: str) -> str:
    """Plain text of Markdown: without blocks of code, with the text of links alone."""
    return strip_markup(_LINK.sub(r"\1", _FENCED.sub(" ", text)))


def parts_of(docstring: str) -> Iterator[str]:
    """The description in a docstring with a list of fields, then the text of each field but types; marked up."""
    fields: list[tuple[str, list[str]]] = [("", [])]
    for line in map(str.strip, docstring.splitlines()):  # by any margin: a generator copies lines that have none
        found = _FIELD.match(line)
        if found:
            fields.append((found[1], []))
        fields[-1][1].append(line[found.end() :] if found else line)
    return ("\n".join(lines) for name, lines in fields if name not in ("type", "rtype"))


def strip_roles(text: str) -> str:
    """Plain text of reStructuredText: roles, links and marks of emphasis removed."""
    plain = _REFERENCE.sub(r"\1", _ROLE.sub(r"\1", text))
    return strip_markup(plain.replace("``", "").replace("**", ""))
