from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from analysis import figures
from analysis.__main__ import main

pytestmark = [pytest.mark.slow, pytest.mark.long]

HEAVY = {"torch", "ray", "deepspeed", "transformers", "datasets", "tokenizers"}


@pytest.mark.parametrize("worlds", [0, pytest.param(2, marks=pytest.mark.full)])
def test_a_report_writes_page_verdicts_and_figures_with_neither_torch_nor_ray(
    worlds: int, results: Path, tmp_path: Path
) -> None:
    code = (
        "import sys; from analysis.__main__ import main; "
        f"code = main(['report', {str(results)!r}, '--out', {str(tmp_path)!r}, '--bootstrap', '100', '--worlds', '{worlds}']); "
        f"found = {HEAVY!r} & set(sys.modules); "
        "ours = {m for m in sys.modules if m.startswith('repro.') and not m.startswith(('repro.schedule.', 'repro.spec.', 'repro.strict.'))} "
        "- {'repro.column', 'repro.columns', 'repro.schemas', 'repro.tables', 'repro.tables_v2', 'repro.spec', 'repro.strict', 'repro.reading', 'repro.schedule', 'repro.ladder', 'repro.errors', 'repro.store.folder', 'repro.store.objects', 'repro.store.outage', 'repro.store.scratch', 'repro.console.commands', 'repro.paths', "
        "'repro.bounds', 'repro.studies', 'repro.console', 'repro.console.guard', 'repro.store', 'repro.console.homes', 'repro.patience', 'repro.console.terminal', 'repro.console.options', 'repro.yaml_values'}; "
        "assert not found and not ours, (found, ours); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "report.html").stat().st_size < 5e6
    for claim in ("(a) ", "(b) REPRODUCED", "(c) REPRODUCED"):
        assert claim in done.stdout
    assert len(list((tmp_path / "figures").iterdir())) == 3 * len(figures.FIGURES) + 1  # and README.md
    claims = [v["claim"] for v in json.loads((tmp_path / "claims.json").read_text())]
    assert claims == ["a", "b", "c", "d", "e", "f", "g, ours"]


def test_claims_as_json_hold_value_interval_rule_and_verdict(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["claims", str(results), "--json", "--bootstrap", "100"]) == 0
    for verdict in json.loads(capsys.readouterr().out):
        assert verdict["verdict"] in ("reproduced", "not reproduced", "inconclusive")
        assert verdict["interval"][0] <= verdict["measured"] <= verdict["interval"][1]
        assert verdict["rule"]
        assert verdict["details"]


def test_figures_alone_leave_no_page(quick: Path, tmp_path: Path) -> None:
    assert main(["figures", str(quick), "--out", str(tmp_path), "--bootstrap", "100"]) == 0
    assert [p.name for p in tmp_path.iterdir()] == ["figures"]
    assert len(list((tmp_path / "figures").iterdir())) == 3 * len(figures.FIGURES) + 1  # and README.md


def test_few_runs_are_inconclusive_and_not_a_crash(quick: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["claims", str(quick), "--bootstrap", "100"]) == 0
    assert capsys.readouterr().out.count("INCONCLUSIVE") == 7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["report", "nowhere"], "runs.parquet"), (["claims", "nowhere", "--bootstrap", "5"], "--bootstrap")],
)
def test_what_a_user_gets_wrong_is_said_with_exit_code_2(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert message in capsys.readouterr().err
