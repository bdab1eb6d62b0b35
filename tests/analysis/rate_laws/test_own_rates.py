"""At their own rates sparse runs are other runs in the same places, and the claims are judged on them by the same rules."""

from __future__ import annotations

from typing import Any

from analysis.claims import final_size, own_rates, pairs
from analysis.findings.evidence import Evidence
from analysis.rate_laws.own_rates import at_own_rates, multiples
from analysis.tables.data import has_own_rates
from analysis.worlds import simulated_sweep
from analysis.worlds.simulated_sweep import Truth


def rows(penalty: float) -> list[dict[str, Any]]:
    """A sweep in which sparse runs over 20% lose `penalty` nats at the dense run's rate, and nothing at twice that."""
    found, own = simulated_sweep.simulate(Truth()), []
    for row in found:
        if not row["sparsity"] or not {"law", "pairs"} & set(row["studies"]):
            continue
        if row["sparsity"] == 0.2:
            row["studies"] = [*row["studies"], "own_rates"]
            continue
        new = {name: f"{row[name]}-own" for name in ("run_id", "fingerprint", "recipe")}
        own.append({**row, **new, "lr": 2 * row["lr"], "studies": ["own_rates"]})
        row["loss"] += penalty
    return [*found, *own]


def test_the_verdicts_follow_the_runs_at_their_own_rates(swept) -> None:
    tables = swept(rows(0.1))
    assert multiples(tables) == {0.2: (1.0, 1.0), 0.4: (2.0, 2.0), 0.6: (2.0, 2.0), 0.8: (2.0, 2.0)}
    own = at_own_rates(tables)
    assert sorted(own.law_set["recipe"][own.law_set["sparsity"] > 0.2]) == sorted(
        f"{recipe}-own" for recipe in tables.law_set["recipe"][tables.law_set["sparsity"] > 0.2]
    )
    assert [len(part.where(~part.sparse)) for part in (own.law_set, own.dense)] == [
        len(part.where(~part.sparse)) for part in (tables.law_set, tables.dense)
    ]
    assert len(own.grid) == len(own.sparse_at_paper_schedule.where(own.sparse_at_paper_schedule["size"] == "25k"))
    assert len(set(own.runs["run_id"])) == len(own.runs)

    evidence = Evidence(tables, resamples=100)
    verdicts = tuple(claim.judge(evidence) for claim in (pairs, final_size))
    judged = own_rates.judge_again(evidence, verdicts)
    assert [(v.claim, v.verdict) for v in judged] == [
        ("c", "not reproduced"),
        ("c, own rates", "reproduced"),
        ("f", "not reproduced"),
        ("f, own rates", "reproduced"),
    ]
    assert "(1 at 20%, 2 at 40%, 2 at 60%, 2 at 80% times" in judged[1].notes[0]
    assert "the rule says not reproduced" in judged[1].notes[0]
    assert judged[1].rule == pairs.RULE


def test_a_sweep_without_the_study_has_no_second_verdicts(evidence: Evidence) -> None:
    assert not has_own_rates(evidence.tables)


def test_a_run_without_one_at_its_own_rate_stays_out(swept) -> None:
    tables = swept([r for r in rows(0.0) if not (r["run_id"].endswith("-own") and r["sparsity"] == 0.8)])
    assert set(at_own_rates(tables).runs["sparsity"]) == {0.0, 0.2, 0.4, 0.6}
    assert set(multiples(tables)) == {0.2, 0.4, 0.6}


def test_only_a_run_that_is_equal_but_for_its_rate_stands_for_another(swept) -> None:
    found = rows(0.0)
    for row in found:
        if row["run_id"].endswith("-own"):
            row[{0.4: "start", 0.6: "seed", 0.8: "total_steps"}[row["sparsity"]]] += 7
    assert set(at_own_rates(swept(found)).runs["sparsity"]) == {0.0, 0.2}
