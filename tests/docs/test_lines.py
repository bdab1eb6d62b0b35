"""docs/architecture.md says what each room costs in lines; it is held to what is there."""

from __future__ import annotations

import pytest

from tests.docs import lines


def test_the_page_knows_every_room_and_no_other() -> None:
    assert sorted(lines.stated()) == sorted(lines.counted())


def test_its_lines_are_those_of_each_room_within_a_tenth() -> None:
    stated, counted = lines.stated(), lines.counted()
    wrong = {room: (stated[room], count) for room, count in counted.items() if abs(stated[room] / count - 1) > 0.1}
    assert not wrong, f"python -m tests.docs.lines writes them anew: {wrong}"


def test_numbers_are_written_anew_and_words_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "counted", lambda: {"repro/spec": 1234, "sweeps": 8766})
    page = "| `repro/spec/` | 900 | 1.0% | why |\n| other | 3 | 4% | rows |\n| `sweeps/` | 9,000 | 2% | for runs |\n"
    assert lines.rewritten(page) == (
        "| `repro/spec/` | 1,200 | 12.3% | why |\n| other | 3 | 4% | rows |\n| `sweeps/` | 8,800 | 87.7% | for runs |\n"
    )
