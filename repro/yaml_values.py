"""YAML as plain values (mappings, lists, text, numbers, booleans and null) of bounded size and depth.

Scalars follow YAML 1.2's core schema: `010` is 10, `0x10` is 16, `1e-3` is a number; `on`, `no`, `2:4` and
`2024-01-01` are text. Digits may be grouped: 32_000. Keys are text, as written.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from repro.errors import UserError

DEPTH = 50  # maximum nesting of lists and mappings
DIGITS = 320  # maximum characters of a number
NODES = 200_000  # maximum values of a file with aliases expanded: ten lines of aliases can mean billions

_DIGITS = r"\d+(?:_\d+)*"
_WHOLE = re.compile(rf"[-+]?{_DIGITS}|0x[0-9a-fA-F]+|0o[0-7]+")
_REAL = re.compile(
    rf"[-+]?(?:(?:{_DIGITS}\.?(?:{_DIGITS})?|\.{_DIGITS})(?:[eE][-+]?\d+)?|\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN)"
)
_LITERALS = dict.fromkeys(("", "~", "null", "Null", "NULL"), None)
_LITERALS |= dict.fromkeys(("true", "True", "TRUE"), True) | dict.fromkeys(("false", "False", "FALSE"), False)
_TAG = "tag:yaml.org,2002:"
_TAGS: dict[type, tuple[str, ...]] = {
    int: (f"{_TAG}int", f"{_TAG}float"),
    float: (f"{_TAG}float",),
    bool: (f"{_TAG}bool",),
    type(None): (f"{_TAG}null",),
}
_PLAIN = "plain"
_MERGE = "<<"


def number(text: Any) -> Any:
    """`text` as a number; anything else, and text longer than DIGITS, is returned unchanged."""
    if not isinstance(text, str) or len(text) > DIGITS:
        return text
    if _WHOLE.fullmatch(text):
        return int(text, 0) if text[:2] in ("0x", "0o") else int(text)
    if _REAL.fullmatch(text):
        return float(text.replace(".", "", 1) if text[-1].isalpha() else text)
    return text


class Loader(yaml.SafeLoader):
    """PyYAML's scanner and parser with this module's rules; tags can only produce plain values."""

    def __init__(self, text: str, name: str):
        super().__init__(text)
        self.name = name
        self.depth = self.nodes = 0
        self._sizes: dict[int, int] = {}

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        """The tag of an untagged node; the type of an unquoted scalar is decided by `_scalar`."""
        if kind is yaml.ScalarNode:
            return _PLAIN if implicit[0] else f"{_TAG}str"
        return f"{_TAG}seq" if kind is yaml.SequenceNode else f"{_TAG}map"

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.depth += 1
        if self.depth > DEPTH:
            raise self._refused("nested too deeply", self.peek_event(), f"at most {DEPTH} levels")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_document(self, node: yaml.Node) -> Any:
        self._size(node, ())
        return self._value(node)

    def _size(self, node: yaml.Node, above: tuple[int, ...]) -> int:
        """Number of values of a node, aliases expanded."""
        if id(node) in above:
            raise self._refused("a value that contains itself", node, "an alias to a value that ends before it")
        if id(node) not in self._sizes:
            parts: list[yaml.Node] = []
            if isinstance(node, yaml.SequenceNode):
                parts = node.value
            elif isinstance(node, yaml.MappingNode):
                parts = [part for pair in node.value for part in pair]
            self._sizes[id(node)] = 1 + sum(self._size(part, (*above, id(node))) for part in parts)
            if self._sizes[id(node)] > NODES:
                raise self._refused("too many values", node, f"at most {NODES:,}, with aliases expanded")
        return self._sizes[id(node)]

    def _value(self, node: yaml.Node) -> Any:
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
            return self._mapping(node)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
            return [self._value(part) for part in node.value]
        if isinstance(node, yaml.ScalarNode):
            if node.tag == f"{_TAG}str":
                return node.value
            value = self._scalar(node)
            if node.tag == _PLAIN or node.tag in _TAGS.get(type(value), ()):
                return value
        raise self._refused("an unsupported tag", node, "plain values", node.tag)

    def _mapping(self, node: yaml.MappingNode) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._refused("a key that isn't a word", key_node, "`key: value`")
            key = key_node.value
            if key in own or (key == _MERGE and merged):
                line = f"again on line {key_node.start_mark.line + 1}"
                raise UserError("a key is given twice", file=self.name, key=key, found=line, expected="each key once")
            if key == _MERGE and key_node.style is None:
                merged = self._merged(value_node)
            else:
                own[key] = self._value(value_node)
        return merged | own

    def _merged(self, node: yaml.Node) -> dict[str, Any]:
        """The keys merged by `<<`; of several mappings, earlier ones take precedence."""
        found: dict[str, Any] = {}
        for part in reversed(node.value) if isinstance(node, yaml.SequenceNode) else [node]:
            if not isinstance(part, yaml.MappingNode):
                raise self._refused("`<<` merges mappings", part, "an alias to a mapping, or a list of such")
            found |= self._mapping(part)
        return found

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        return _LITERALS[node.value] if node.value in _LITERALS else number(node.value)

    def _refused(self, message: str, at: Any, expected: str, found: str = "") -> UserError:
        where = f"line {at.start_mark.line + 1}"
        return UserError(message, file=self.name, found=f"{found}, {where}" if found else where, expected=expected)
