"""One self-contained HTML page: verdicts first, then figures, runs, how it was made and the regime it was made in."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any

import jinja2
import numpy as np

from analysis.claims import Detail, Verdict
from analysis.claims.verdict import details_of
from analysis.figures import Drawn, interactive, style
from analysis.figures.panel import legend
from analysis.figures.promise import NAME as PROMISE
from analysis.findings import plan_vs_actual
from analysis.findings.evidence import Evidence
from analysis.findings.theory import Theory, TwoRegimes
from analysis.power.error_rates import STANDS, Power
from analysis.report import confounds, origin, subjects, summary
from analysis.shown import plain
from analysis.tables.data import Runs, Tables
from analysis.tables.schedules import name_of
from repro import columns

# Key and title of each section, and the parts of which it needs one; "groups" stands for a section a subject.
SECTIONS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("verdicts", "Verdicts", ("verdicts",)),
    ("groups", "", ("groups",)),
    ("figures", "Figures", ()),
    ("confounds", "Controls and confounds", ("confounds",)),
    ("theory-numbers", "Theory", ("theory",)),
    ("evaluations", "Evaluations", ("evaluations",)),
    ("runs-section", "Runs", ("run_rows",)),
    ("odd", "Flagged and failed", ("flags", "failed")),
    ("planned", "Plan and outcome", ("promise",)),
    ("made", "How it was made", ()),
    ("regime", "The regime", ()),
)
BESIDE = ("lr", "batch")  # settings that the table of runs always shows; others where they vary

_PAGE = jinja2.Environment(
    loader=jinja2.PackageLoader("analysis.report", "."), autoescape=True, trim_blocks=True, lstrip_blocks=True
)
_PAGE.filters["base64"] = lambda data: base64.b64encode(data).decode()
_PAGE.filters["plain"] = plain
_PAGE.filters["slug"] = lambda text: re.sub(r"\W+", "-", text).strip("-")
_PAGE.filters["key"] = legend
_PAGE.globals["swatch"] = interactive.swatch
_PAGE.filters["keys"] = lambda rows: list(dict.fromkeys(key for row in rows for key in row))


def render(
    evidence: Evidence,
    verdicts: tuple[Verdict, ...],
    figures: tuple[Drawn, ...],
    power: Power = Power.unknown("no worlds were drawn"),
) -> str:
    """The page, with every script and picture inside.

    Args:
        verdicts: held to their rules' error rates, which `power` has.
    """
    tables = evidence.tables
    question, whose = subjects.asked(tables)
    embedded = interactive.embed({f.name: f.panels for f in figures if f.panels})
    parts = {
        "verdicts": [v for v in verdicts if not any(v.claim in own.claims for own in subjects.SUBJECTS)],
        "groups": [
            (own, judged) for own in subjects.SUBJECTS if (judged := [v for v in verdicts if v.claim in own.claims])
        ],
        "figures": [f for f in figures if f.name != PROMISE],
        "promise": _promise(evidence, figures),
        "confounds": confounds.examine(evidence),
        "theory": _theory(evidence.theory),
        "evaluations": _evaluations(tables),
        "run_rows": list(_run_rows(tables.all_runs)),
        "flags": tables.flags,
        "failed": tables.sweep.get("failed") or [],
    }
    return _PAGE.get_template("page.html.j2").render(
        name=tables.sweep.get("name") or tables.name,
        run_count=len(tables.all_runs),
        made_when=str(tables.sweep.get("created") or "")[:10],
        corpora=", ".join(sorted({str(name) for name in tables.all_runs["corpus"]})),
        question=question,
        whose=whose,
        first=summary.first(evidence, verdicts, power),
        meaning=summary.MEANING,
        outcomes=[v for outcome in summary.OUTCOMES for v in verdicts if v.verdict == outcome],
        sections=list(_sections(parts)),
        power=power,
        stands=STANDS,
        departures=list(dict.fromkeys(text for v in verdicts for text in v.departures)),
        all_looks=legend([panel for f in figures for panel in f.panels]),
        ink=style.INK,
        hollow=interactive.HOLLOW,
        panels=embedded.divs,
        library=embedded.library,
        script=embedded.script,
        made=list(origin.made(tables)),
        regime=list(origin.regime(tables)),
        **parts,
    )


def _sections(parts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Key and title of the sections that the page has, in its order."""
    for key, title, needs in SECTIONS:
        if not needs or any(parts[name] for name in needs):
            if key == "groups":
                yield from ((own.key, own.title) for own, _ in parts["groups"])
            else:
                yield key, title


def _promise(evidence: Evidence, figures: tuple[Drawn, ...]) -> dict[str, Any] | None:
    found = evidence.promise
    if found is None:
        return None
    return {
        "facts": list(plan_vs_actual.summary(evidence.tables, found)),
        "worst": Detail("The runs farthest from their promise", tuple(found.worst())),
        "figure": next((f for f in figures if f.name == PROMISE), None),
    }


def _theory(theory: Theory) -> tuple[Detail, ...]:
    regimes = (
        {
            "dense run": run_id,
            "α before": r.before,
            "α after": r.after,
            "break, FLOP": r.break_flops,
            "break, share of the run": r.break_flops / r.last,
            "−dL/dC at 25% over that at 100%": _early_weight(r),
            "rms of log residuals": r.error,
        }
        for run_id, r in theory.regimes.items()
    )
    return details_of(
        {
            "Two regimes of the dense curves (the paper's 410M: α .203 in the first 2.6% of steps, .041 after)": regimes,
            "Predicted less dense loss against measured less dense loss, nats": theory.agreement(),
        }
    )


def _early_weight(regimes: TwoRegimes) -> float:
    early, late = regimes.gain(np.array([0.25, 1.0]) * regimes.last)
    return float(early / late)


def _evaluations(tables: Tables) -> tuple[Detail, ...]:
    """What models lost on other text, and how they did in tasks."""
    measured = {"loss": "loss", "perplexity": "perplexity", "bits/byte": "bits_per_byte"}
    texts = (
        {
            "model": row["model"],
            "step": row["step"],
            "text": row["corpus"],
            "windows": f"{row['windowing']}, {row['window']:,} by {row['stride']:,}",
            "tokens": row["tokens"],
            **{
                f"{sign}{said}": row[f"{name}{end}"]
                for said, name in measured.items()
                for sign, end in (("", ""), ("± ", "_se"))
            },
        }
        for row in tables.evaluations.to_pylist()
    )
    tasks = (
        {
            "model": row["model"],
            "step": row["step"],
            "task": row["task"],
            "examples": row["fewshot"],
            "metric": row["metric"] if row["filter"] == "none" else f"{row['metric']} ({row['filter']})",
            "value": row["value"],
            "± value": row["value_se"],
            "questions": row["samples"],
        }
        for row in tables.tasks.to_pylist()
    )
    return details_of(
        {
            "Held-out loss in nats a token; ± is a standard error over blocks of the text": texts,
            "Tasks of lm-evaluation-harness; ± is its standard error": tasks,
        }
    )


def _run_rows(runs: Runs) -> Iterator[dict[str, Any]]:
    """The table of runs: what tells them apart, what they were given and how they ended."""
    varied = [name for name in columns.names("setting") if name not in BESIDE and len(set(map(str, runs[name]))) > 1]
    for row in runs.rows():
        yield {
            "run": row["run_id"],
            "studies": ", ".join(row["studies"]),
            **{name: row[name] for name in ("size", "budget", "seed", "sparsity")},
            "schedule": name_of(row),
            **{name: row[name] for name in ("N_prunable", "N_avg", "N_final")},
            "tokens": row["D"],
            "loss": row["loss"],
            "± over blocks": row["loss_se"],
            "lr": row["lr"],
            "batch, tokens": row["batch_tokens"],
            "seconds": row["seconds"],
            **{name: ", ".join(row[name]) if isinstance(row[name], tuple) else row[name] for name in varied},
        }
