"""One way to say a thing: verbs of all rooms under one name, options that mean one thing, and help that ends with examples."""

from __future__ import annotations

import argparse
import os
import re
from collections import Counter, defaultdict
from pathlib import Path

import pytest

import sparse_scaling
from analysis.__main__ import main as analysis_main
from tests.parsers import ROOMS, Verb, every, parse, room_of, verbs

EVERY = every()


def each(verb: Verb) -> str:
    return verb.name


def meaning(action: argparse.Action) -> str:
    """What the help of an option says in every verb: without what a semicolon adds, and without the default."""
    return re.split(r"; | \(default: ", action.help or "")[0]


def test_a_verb_is_one_of_one_room() -> None:
    names = Counter(verb for room in ROOMS for verb in room_of(room).verbs)
    assert [name for name, count in names.items() if count > 1] == []


def test_the_script_has_the_rooms_and_lists_their_verbs_as_they_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert [room.name for room in sparse_scaling.ROOMS] == list(ROOMS)
    with pytest.raises(SystemExit, match="0"):
        sparse_scaling.main(["--help"])
    shown = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    for room in sparse_scaling.ROOMS:
        at = shown.index(f"{room.summary} (python -m {room.name})") + 1
        assert shown[at : at + len(room.verbs)] == [f"{verb} {text}" for verb, (_, text) in room.verbs.items()]


def test_the_script_does_what_the_module_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "runs.csv"
    rows = [(n, d, 1.5 + 400 / n**0.34 + 400 / d**0.28) for n in (1e6, 1e7, 1e8) for d in (1e8, 1e9, 1e10)]
    table.write_text("N,D,loss\n" + "".join(f"{n},{d},{loss}\n" for n, d, loss in rows))
    words = ["fit", str(table), "--law", "chinchilla"]
    assert analysis_main(words) == 0
    expected = capsys.readouterr()
    assert sparse_scaling.main(words) == 0
    assert capsys.readouterr() == expected
    assert "0.34" in expected.out


def test_the_lines_of_a_verb_fit_a_terminal() -> None:
    """In the list of the script, whose names are the widest."""
    width = max(len(verb) for room in ROOMS for verb in room_of(room).verbs)
    texts = [text for room in ROOMS for _, text in room_of(room).verbs.values()]
    assert [text for text in texts if len(text) + width + 4 > 110 or text.endswith(".")] == []


@pytest.mark.parametrize("verb", EVERY, ids=each)
def test_help_is_sentences_and_ends_with_two_examples_of_the_verb(verb: Verb) -> None:
    assert (verb.parser.description or "").rstrip().endswith(".")
    assert verb.help.partition("\nexamples:\n")[2].count("\n") == 4  # a line on each before it
    assert [one.startswith(f"{verb.parser.prog} ") for one in verb.examples] == [True, True]


def test_the_help_of_a_verb_with_kinds_lists_them() -> None:
    kinds = [verb for verb in EVERY if verb.name.count(" ") == 2]
    assert {verb.name.split()[1] for verb in kinds} == {"corpus"}
    shown = next(verb.help for verb in EVERY if verb.name == "repro corpus")
    assert [verb.name for verb in kinds if not re.search(rf"^ +{verb.name.split()[2]} +\w+", shown, re.MULTILINE)] == []


@pytest.mark.parametrize("verb", EVERY, ids=each)
def test_each_option_says_what_it_is_and_what_holds_without_it(verb: Verb) -> None:
    for action in verb.actions:
        assert action.help, action.dest
        if action.option_strings and action.nargs != 0 and not action.required:
            assert re.search(r"\((default: .+|required)\)$", action.help), action.option_strings
            assert action.metavar or action.choices, action.option_strings


def test_an_option_has_one_metavar_and_one_meaning_in_all_verbs() -> None:
    seen = defaultdict(set)
    for verb in EVERY:
        for action in verb.actions:
            name = action.option_strings[0] if action.option_strings else f"<{action.metavar}>"
            seen[name].add((str(action.metavar or ""), meaning(action)))
    assert {name: found for name, found in seen.items() if len(found) > 1} == {}


@pytest.mark.parametrize("verb", EVERY, ids=each)
def test_no_option_has_a_second_name_nor_may_be_shortened(verb: Verb) -> None:
    assert [a.option_strings for a in verb.actions if len(a.option_strings) > 1] == []
    assert not verb.parser.allow_abbrev


def test_the_help_of_a_verb_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "COLUMNS", "100")
    verbs.cache_clear()
    lines = [line for verb in every() for line in verb.help.partition("\nexamples:")[0].splitlines()]
    verbs.cache_clear()
    assert len(lines) > 500
    assert [line for line in lines if len(line) > 130] == []


EARLIER = [
    ("sweeps plan", "--price", "--price-per-gpu-hour", "x.yaml", "2.5"),
    ("sweeps status", "--price", "--price-per-hour", "results/x", "2.5"),
    ("sweeps expand", "--table", "--out", "x.yaml", "here"),
    ("cluster submit", "--address", "--dashboard", "x.yaml", "http://head:8265"),
    ("cluster logs", "--address", "--dashboard", "job", "http://head:8265"),
    ("cluster stop", "--address", "--dashboard", "job", "http://head:8265"),
    ("cluster fetch", "--address", "--dashboard", "job", "http://head:8265"),
    ("cluster fetch", "--to", "--out", "job", "here"),
    ("cluster render", "--storage", "--results", "slurm x.yaml --cluster gpus=8,type=h100", "s3://bucket"),
    ("cluster render", "--out", "--manifest", "slurm x.yaml --cluster gpus=8,type=h100", "here"),
    ("cluster render", "--claim", "--volume-claim", "kuberay x.yaml --cluster gpus=8,type=h100", "volume"),
    ("cluster doctor", "--storage", "--results", "x.yaml", "s3://bucket"),
    ("repro evaluate", "--corpora", "--corpus", "model notes.txt", "data"),
    ("repro flatness", "--corpora", "--corpus", "model other notes.txt", "data"),
    ("repro prune", "--corpora", "--corpus", "model out --method wanda --rate .25", "data"),
    ("repro grow", "--corpora", "--corpus", "model out --method grow-width-noise --factor 2", "data"),
    ("repro export", "--dtype", "--precision", "run out", "bf16"),
    ("analysis simulate", "--noise", "--sigma", "drawn.csv --law chinchilla", "0.005"),
    ("analysis power", "--noise", "--sigma", "results/x", "0.005"),
    ("analysis compare", "--laws", "--law", "runs.csv", "chinchilla,over_training"),
    ("analysis rates", "--at", "--target", "runs.csv", "N=1e9,D=1e10"),
]


@pytest.mark.parametrize(("verb", "old", "new", "words", "value"), EARLIER, ids=lambda one: str(one))
def test_an_option_is_taken_by_the_name_that_it_had_before(
    verb: str, old: str, new: str, words: str, value: str
) -> None:
    given = ["python", "-m", *verb.split(), *words.split()]
    assert parse([*given, old, value]) == parse([*given, new, value])
    assert old not in next(one.help for one in EVERY if one.name == verb).split()


def test_laws_are_given_comma_separated_or_one_by_one() -> None:
    given = ["python", "-m", "analysis", "compare", "runs.csv"]
    one_by_one = parse([*given, "--law", "chinchilla", "--law", "over_training"])
    assert parse([*given, "--law", "chinchilla,over_training"]) == one_by_one
    with pytest.raises(SystemExit, match="2"):
        parse([*given, "--law", "chinchilla,nothing"])
