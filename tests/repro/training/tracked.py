"""What a run's trackers show, and what its own tables say that they should."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.record_writer import masked_crc32c

from repro import tables
from repro.store.folder import Folder

Curve = dict[str, dict[int, float]]
TAGS = {"loss_train", "loss_eval", "lr", "density", "grad_norm", "tokens_per_second"}
TIMED = "tokens_per_second"


def events(run: Folder) -> Iterator[Event]:
    """The events of the one event file of a run."""
    folder = run / "tensorboard"
    [name] = folder.names()
    data, at = folder.read(name), 0
    while at < len(data):
        (size,) = struct.unpack("<Q", data[at : at + 8])
        whole = data[at + 12 : at + 12 + size]
        assert struct.unpack("<I", data[at + 8 : at + 12]) == (masked_crc32c(data[at : at + 8]),)
        assert struct.unpack("<I", data[at + 12 + size : at + 16 + size]) == (masked_crc32c(whole),)
        yield Event.FromString(whole)
        at += size + 16


def shown(run: Folder) -> Curve:
    """By tag and step; a point that is there twice is refused."""
    curve: Curve = {}
    for event in events(run):
        for value in event.summary.value:
            if value.HasField("simple_value"):
                assert event.step not in curve.setdefault(value.tag, {}), f"{value.tag} twice at {event.step}"
                curve[value.tag][event.step] = value.simple_value
    return curve


def logged(run: Folder) -> Curve:
    """What should be shown, from the run's own tables."""
    rows = tables.read(run, "curve.parquet").to_pylist()
    [row] = tables.read(run, "run.parquet").to_pylist()
    rows[-1]["loss_eval"] = row["loss"]
    curve: Curve = {tag: {r["step"]: r[tag] for r in rows if r[tag] is not None} for tag in sorted(TAGS - {TIMED})}
    return curve | {TIMED: {r["step"]: 1e3 * row["batch_tokens"] / r["ms"] for r in rows}}


def assert_shows(found: Curve, wanted: Curve) -> None:
    assert set(found) == TAGS
    for tag in TAGS:
        assert list(found[tag]) == list(wanted[tag]), tag
        assert list(found[tag].values()) == pytest.approx(list(wanted[tag].values()), rel=1e-6), tag
