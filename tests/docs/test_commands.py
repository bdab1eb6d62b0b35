"""Every command in docs/*.md, README.md and the help of verbs is held against the parser of what it calls; quick ones of docs and help are run."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from analysis import claims
from analysis.laws.formulas import written
from analysis.laws.registry import LAWS
from repro.__main__ import main
from repro.surgery.catalogue import GROWTHS, METHODS
from sweeps import grid
from tests import parsers
from tests.docs import commands
from tests.docs.commands import HELP, OF_RUNS, OURS, PAGES, QUICK, QUICK_IN_HELP, ROOT, SOURCES, Command
from tests.docs.first_hour import TABLE
from tests.docs.promises import INSTEAD, PROMISES
from tests.docs.signature import signature

TOLD = [command for page in (*SOURCES, *HELP) for command in commands.of(page)]
DOCUMENTED = [command for command in TOLD if command.page in SOURCES]
TRAINED = ("4k-10tpp-s80-d25-p50-seed0", "4k-10tpp-s00-seed0")  # of sweeps/quick.yaml
NOT_THERE = {"sweeps/x.yaml"}  # stands for any


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the sweeps and the evidence of the checkout, and nothing else."""
    return furnished(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with two trained runs of sweeps/quick.yaml, their text, and notes of a reader."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "notes").mkdir()
    for page, file in PAGES.items():
        (folder / "notes" / f"{page}.txt").write_text(file.read_text())
    with pytest.MonkeyPatch.context() as patch:
        furnished(folder, patch)
        for spec in (run.spec for run in grid.expand("sweeps/quick.yaml").runs if run.spec.run_id in TRAINED):
            (folder / "spec.json").write_text(json.dumps(spec.to_dict()))
            assert main(["train", "spec.json", "--out", f"results/quick/runs/{spec.run_id}"]) == 0
    return folder


def furnished(folder: Path, patch: pytest.MonkeyPatch) -> Path:
    (folder / "docs").mkdir()
    (folder / "docs" / "evidence").symlink_to(ROOT / "docs" / "evidence")
    (folder / "sweeps").mkdir()
    for file in (ROOT / "sweeps").glob("*.yaml"):
        (folder / "sweeps" / file.name).symlink_to(file)
    patch.chdir(folder)
    return folder


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(one, id=f"{one.page}-{i}", marks=[pytest.mark.slow] if "-m bench." in one.text else [])
        for i, one in enumerate(TOLD)
    ],
)
def test_a_command_is_taken_by_the_parser_of_what_it_calls(command: Command) -> None:
    command.parse()
    named = {word for word in command.words if re.fullmatch(r"(sweeps|docs|bench|tests)/\S+", word)}
    if command.verb != "analysis keep":  # makes a folder
        assert sorted(word for word in named - NOT_THERE if not (ROOT / word).exists()) == []


@pytest.mark.parametrize("command", DOCUMENTED, ids=[f"{one.page}-{i}" for i, one in enumerate(DOCUMENTED)])
def test_a_command_is_run_by_a_test_with_each_of_its_options_or_it_is_said_why_not(command: Command) -> None:
    assert command.instead or commands.run_by(command), f"{command.text}: see tests/docs/promises.py"


def test_what_is_promised_is_of_a_command_on_a_page() -> None:
    verbs = {one.signature.verb for one in DOCUMENTED}
    assert [text for texts in PROMISES.values() for text in texts if signature(text.split()).verb not in verbs] == []
    assert [text for text in INSTEAD if text not in verbs | {str(one.signature) for one in DOCUMENTED}] == []


@pytest.mark.slow
def test_the_tests_that_are_named_exist() -> None:
    named = {test for command in DOCUMENTED for test in commands.run_by(command)}
    named |= {test for _, tests in INSTEAD.values() for test in tests} | {*PROMISES}
    call = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *sorted(named)]
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in SOURCES if any(one.runs(QUICK) for one in commands.of(page))])
def test_the_quick_commands_of_a_page_run_one_after_another(page: str, checkout: Path) -> None:
    for name, text in commands.files(page).items():
        (checkout / name).write_text(text)
    if page == "README":  # where it is the reader's own
        (checkout / "runs.csv").write_text(TABLE)
    for command in commands.of(page):
        if command.runs(QUICK):
            assert command.run() or command.out or command.verb == "analysis simulate", command.text


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if any(one.runs(OF_RUNS) for one in commands.of(page))])
def test_the_commands_of_a_page_that_need_a_trained_run_run_too(
    page: str, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    shutil.copytree(trained, here, symlinks=True)
    monkeypatch.chdir(here)
    for name, text in commands.files(page).items():
        (here / name).write_text(text)
    for command in commands.of(page):
        if command.runs(QUICK | OF_RUNS):
            command.run()


@pytest.mark.slow
@pytest.mark.parametrize("page", HELP)
def test_the_quick_examples_of_a_room_run_one_after_another(
    page: str, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the order of its help, so that what one writes is there for the next."""
    shutil.copytree(trained, tmp_path / "here", symlinks=True)
    monkeypatch.chdir(tmp_path / "here")
    own = [one for one in commands.of(page) if one.runs(QUICK_IN_HELP | OF_RUNS)]
    assert own
    for command in own:
        command.run()


def test_every_verb_is_named_in_the_docs() -> None:
    verbs = {f"{room} {verb}" for room in OURS for verb in parsers.room_of(room).verbs}
    assert verbs - {one.verb for one in TOLD if one.page in PAGES} == set(), "verbs that no page of docs/ names"


def test_the_page_on_claims_has_every_claim() -> None:
    text = PAGES["claims"].read_text()
    judged = (*claims.CLAIMS, claims.unification, *claims.IN_ANY_DIRECTION, *claims.AFTER_PRUNING)
    names = {claim.CLAIM.partition(",")[0] for claim in judged}
    assert names == set(re.findall(r"^\| \((\w+)\) \| .+ \| .+ \|$", text, re.MULTILINE))


def test_the_page_on_the_analysis_has_every_law() -> None:
    text = PAGES["analysis"].read_text()
    assert [name for name in LAWS if not re.search(rf"^\|[^|]*`{name}`", text, re.MULTILINE)] == []


def test_the_page_on_models_has_every_method_of_surgery() -> None:
    text = PAGES["models"].read_text()
    assert [name for name in (*METHODS, *GROWTHS) if not re.search(rf"^\|[^|]*`{name}`", text, re.MULTILINE)] == []


def test_the_page_on_laws_has_every_law_that_ships_as_a_file() -> None:
    text = PAGES["laws"].read_text()
    assert [name for name in written.SHIPPED if not re.search(rf"^\| `{name}` \|", text, re.MULTILINE)] == []
