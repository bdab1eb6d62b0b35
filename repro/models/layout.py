"""Determines which of a model's tensors are linear layers, embeddings, buffers or scales, by its layout.

A layout comes from transformers' own classes (`tree`) if they support the model, else from the names that public
models use (`rules`). If neither knows a tensor, the layout is unknown and nothing is counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from repro.errors import UserError
from repro.models import quantised, rules
from repro.models.config import ties
from repro.models.folder import MERGE, ModelFolder
from repro.models.rules import BUFFER, Layout

_PARTS = (
    ("vision", re.compile(r"vision|visual|image|video|(?:^|\.)vit\.")),
    ("audio", re.compile(r"audio|speech")),
    ("projector", re.compile(r"multi_modal_projector|mm_projector|connector|(?:^|\.)projector")),
)


@dataclass(frozen=True)
class Role:
    """The role of a stored tensor. slot: its name in the layout, "" if not counted. part: "language", "vision", ..."""

    kind: Literal["linear", "embedding", "other", "buffer", "scale", "ignored"]
    slot: str = ""
    transposed: bool = False
    part: str = "language"

    @property
    def counts(self) -> bool:
        return self.kind in ("linear", "embedding", "other")


@dataclass(frozen=True)
class Placed:
    """A model's tensors in their layout. notes: caveats for readers of the counts."""

    layout: Layout
    roles: dict[str, Role]
    notes: tuple[str, ...]


def place(model: ModelFolder, shapes: Mapping[str, tuple[int, ...]]) -> Placed:
    """The role of every tensor of a model.

    Args:
        shapes: shapes of all tensors by name, compact ones in dense form.

    Raises:
        UserError: the layout is unknown, or the weights are packed.
    """
    quantised.refuse_packed(model, shapes)
    best: tuple[list[str], Layout] | None = None
    failed: list[str] = []
    for layout in _candidates(model, shapes, failed):
        strangers = [name for name in shapes if _role(layout, name, shapes) is None]
        if best is None or len(strangers) < len(best[0]):
            best = strangers, layout
        if not strangers:
            break
    assert best is not None
    strangers, layout = best
    if strangers:
        raise _unknown(model, strangers, shapes, layout, failed)
    roles = {name: _role(layout, name, shapes) or Role("scale") for name in shapes}
    notes = tuple(_notes(layout, roles, shapes, model))
    if failed and model.config.get("model_type"):
        notes += (f"counted by names and not by config.json: {failed[0]}",)
    return Placed(layout, roles, notes)


def _candidates(model: ModelFolder, shapes: Mapping[str, tuple[int, ...]], failed: list[str]) -> Iterable[Layout]:
    """Layouts to try, the likeliest first; reasons why transformers has none are appended to `failed`."""
    try:
        from repro.models import tree
    except ImportError as error:  # without PyTorch, only the rules for names are available
        failed.append(str(error))
    else:
        try:
            yield from tree.layouts(model.config, len(shapes), model.config_file)
            return
        except tree.NotKnown as error:
            failed.append(str(error))
    yield rules.layout(shapes, ties(model.config))


def _role(layout: Layout, name: str, shapes: Mapping[str, tuple[int, ...]]) -> Role | None:
    """The role of a tensor; None if the layout doesn't know it."""
    slot_name = layout.find(name)
    if slot_name is None:
        if BUFFER.search(name):
            return Role("buffer")
        if layout.ignored(name):
            return Role("ignored")
        return Role("scale") if quantised.is_scale(name, shapes) else None
    slot, stored = layout.slots[slot_name], shapes[name]
    transposed = slot.transposed
    if slot.shape is not None and len(slot.shape) == 3:  # experts, stored separately or stacked
        transposed = len(stored) == 3 and (slot.transposed != (layout.exact and stored == _swapped(slot.shape)))
    part = next((part for part, pattern in _PARTS if pattern.search(slot_name)), "language")
    return Role(slot.kind, slot_name, transposed, part)


def _swapped(shape: tuple[int, ...]) -> tuple[int, ...] | None:
    return (*shape[:-2], shape[-1], shape[-2]) if shape[-1] != shape[-2] else None


def _notes(
    layout: Layout, roles: Mapping[str, Role], shapes: Mapping[str, tuple[int, ...]], model: ModelFolder
) -> Iterable[str]:
    yield from model.notes
    if ignored := sorted(name for name, role in roles.items() if role.kind == "ignored"):
        yield f"not counted, since the model doesn't read them: {_some(ignored)}"
    if not layout.exact:
        return
    there = {role.slot for role in roles.values()}
    there |= {name for target, source in layout.tied.items() for name in (target, source) if there & {target, source}}
    wanted = {name for name, slot in layout.slots.items() if slot.kind != "buffer" and not layout.optional(name)}
    if missing := sorted(wanted - there):
        yield f"the config asks for weights that aren't stored: {_some(missing)}"
    different = sorted(
        f"{name} is {' x '.join(map(str, shapes[name]))}, the config gives {' x '.join(map(str, shape))}"
        for name, role in roles.items()
        if role.counts and (shape := layout.slots[role.slot].shape) and len(shape) == len(shapes[name])
        if len(shape) < 3 and shape != shapes[name]
    )
    if different:
        yield f"other shapes than the config's: {_some(different)}"


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")


def _unknown(
    model: ModelFolder,
    strangers: list[str],
    shapes: Mapping[str, tuple[int, ...]],
    layout: Layout,
    failed: list[str],
) -> UserError:
    if any(".lora_" in name or name.startswith("base_model.model.") for name in strangers):
        return UserError("an adapter, not a model", file=model.path, found=_some(strangers), expected=MERGE)
    kind = model.config.get("model_type")
    said = f"config.json says model_type {str(kind)[:60]!r}" if kind else "no config.json says what it is"
    return UserError(
        "unknown layout, so nothing is counted",
        file=model.path,
        key=strangers[0],
        found=f"{_some([f'{n} {list(shapes[n])}' for n in strangers])}; {said}{''.join(f'; {why[:200]}' for why in failed)}",
        expected=f"the tensors of {layout.name}, the closest that is known",
    )
