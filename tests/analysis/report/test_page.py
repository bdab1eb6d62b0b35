from __future__ import annotations

import html
import html.parser
import itertools
import json
import re
from pathlib import Path

import pytest

from analysis import claims, figures
from analysis.__main__ import main
from analysis.claims.verdict import ClaimRates, Rates
from analysis.figures import comparison, pairs, promise
from analysis.findings.evidence import Evidence
from analysis.power import error_rates
from analysis.power.error_rates import Power
from analysis.report.page import render
from analysis.report.summary import MEANING
from analysis.shown import plain
from analysis.tables import data
from analysis.worlds import simulated_sweep
from analysis.worlds.simulated_sweep import Truth
from repro import schemas, tables
from repro.store.folder import Folder

pytestmark = pytest.mark.slow


def page_of(folder: Folder) -> str:
    """The page without figures, which other tests draw."""
    found = Evidence(data.load(folder), resamples=100)
    return render(found, claims.judge(found), ())


@pytest.fixture(scope="module")
def page(evidence: Evidence, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page with a figure of panels, one that is an image, and that of the plan; test_main.py writes all."""
    folder = Folder.open(tmp_path_factory.mktemp("page"))
    drawn = tuple(figures.write(module, evidence, folder) for module in (pairs, comparison, promise))
    return render(evidence, claims.judge(evidence), drawn)


class Tags(html.parser.HTMLParser):
    """Fails on a tag that is closed but isn't open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "img", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_verdicts_come_first_then_figures_runs_making_and_regime(page: str) -> None:
    headings = re.findall(r"<h2>(.*?)</h2>", page)
    assert headings == [
        "What is asked",
        "What was run",
        "What a verdict means",
        "What came out",
        "How sure that is",
        "Verdicts",
        "Figures",
        "Controls and confounds",
        "The theory in numbers",
        "Runs",
        "Flagged and failed",
        "Plan and outcome",
        "How it was made",
        "The regime it was made in",
    ]
    for section in re.findall(r'href="#([^"]+)"', page):
        assert f'id="{section}"' in page


def test_headings_go_down_one_level_at_a_time(page: str) -> None:
    levels = [int(level) for level in re.findall(r"<h([1-6])[ >]", page)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_every_picture_and_panel_says_what_it_shows(page: str) -> None:
    pictures = re.findall(r'<img alt="([^"]*)"', page)
    panels = re.findall(r'<div class="panel" [^>]*aria-label="([^"]*)"', page)
    assert len(pictures) == 1
    assert len(panels) == 3
    assert all(len(text) > 40 for text in (*pictures, *panels))


def test_the_page_is_one_file_that_asks_for_nothing_else(page: str) -> None:
    markup = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert set(re.findall(r'src="([^"]{0,30})', markup)) == {"data:image/png;base64,iVBORw0K"}
    assert set(re.findall(r'href="(.)', markup)) == {"#"}
    assert "http" not in markup


def test_every_tag_is_closed(page: str) -> None:
    tags = Tags()
    tags.feed(page)
    assert tags.open == []


def test_each_claim_shows_its_verdict_and_its_rule(page: str) -> None:
    page = html.unescape(page)
    for judged in claims.CLAIMS:
        assert judged.STATEMENT in page
        assert judged.RULE[:60] in page


def test_every_run_has_a_row(page: str, results: Path) -> None:
    for run_id in data.load(Folder.open(results)).all_runs["run_id"]:
        assert f">{run_id}</td>" in page
    assert ">weight_decay</button>" in page  # a setting that runs of the sweep vary
    assert ">warmup</button>" not in page


def test_what_a_sweep_says_of_itself_is_shown_and_cant_inject_markup(tmp_path: Path) -> None:
    folder = Folder.open(tmp_path / "results")
    simulated_sweep.write(folder, simulated_sweep.simulate(Truth())[:40])
    folder.write_json(
        "sweep.json",
        {
            "name": "<script>alert(1)</script>",
            "file": "sweeps/tiny.yaml",
            "commit": "abc123",
            "versions": {"numpy": "2.0"},
            "seconds": 90,
            "hardware": {"cpu": "two cores", "cores": 2, "gpu": None},
            "failed": [{"run_id": "lost", "reason": "out of memory"}],
            "corpus": {
                "name": "botocore",
                "licence": "Apache-2.0",
                "unique_tokens": 1000,
                "overlap_13gram": 0.05,
                "unused_ids": 160,
                "unused_share": {"17k": 0.217},
            },
        },
    )
    page = page_of(folder)
    for text in (
        "sweeps/tiny.yaml",
        "abc123",
        "numpy 2.0",
        "1.5 minutes",
        "two cores",
        "out of memory",
        "Apache-2.0",
        "5.0%",
        "never uses 160",
        "21.7% of 17k",
    ):
        assert text in page
    assert "<script>alert" not in page


def test_evaluations_stand_on_the_page_with_their_errors(tmp_path: Path) -> None:
    folder = Folder.open(tmp_path / "results")
    simulated_sweep.write(folder, simulated_sweep.simulate(Truth())[:6])
    unknown: dict = dict.fromkeys(schemas.EVALUATIONS.names)
    row = unknown | {
        "model": "25k-<run>",
        "step": 400,
        "precision": "fp32",
        "corpus": "wikitext",
        "windowing": "sliding",
    }
    row |= {"window": 129, "stride": 64, "tokens": 4096, "loss": 3.25, "loss_se": 0.0625, "loss_blocks": [3.25] * 64}
    tables.add(folder, "evaluations", [row])
    task = dict.fromkeys(schemas.TASKS.names) | {
        "model": "org/base",
        "task": "arc_easy",
        "metric": "acc",
        "filter": "none",
    }
    tables.add(folder, "tasks", [task | {"value": 0.4375, "value_se": 0.0123, "samples": 100, "fewshot": 0}])
    page = page_of(folder)
    section = page[page.index('<section id="evaluations">') :]
    for shown in ("25k-&lt;run&gt;", "sliding, 129 by 64", "4,096", "3.25", "0.0625", "arc_easy", "0.4375", "0.0123"):
        assert f">{shown}</td>" in section
    assert 'href="#evaluations"' in page


def test_a_flagged_run_is_listed_with_its_reason(tmp_path: Path) -> None:
    rows = simulated_sweep.simulate(Truth())[:6]
    rows[0]["loss"] = float("nan")
    folder = Folder.open(tmp_path / "results")
    simulated_sweep.write(folder, rows)
    page = page_of(folder)
    assert f"<code>{rows[0]['run_id']}</code>: its held-out loss is nan; left out" in page


def test_a_sweep_without_runs_still_has_a_page(tmp_path: Path) -> None:
    folder = Folder.open(tmp_path / "results")
    simulated_sweep.write(folder, [])
    folder.write_json("sweep.json", {"name": "lost", "failed": [{"run_id": "lost-1", "reason": "out of memory"}]})
    page = page_of(folder)
    assert page.count("inconclusive") >= 7
    assert "lost-1" in page
    assert "out of memory" in page


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (float("inf"), "–"),
        (3, "3"),
        (0.0123456, "0.01235"),
        (25_408.0, "25,408"),
        ("25k", "25k"),
        (0.0, "0"),
    ],
)
def test_a_cell_is_shown_in_four_digits(value: object, shown: str) -> None:
    assert plain(value) == shown


SHARED = "runs continue from others"
OTHER_RATES = "learning rates follow cosine_compute, wsd; the paper"


@pytest.mark.parametrize(
    ("record", "parent", "said"),
    [
        pytest.param({}, None, [], id="of before these were recorded", marks=pytest.mark.full),
        pytest.param({"share_prefix": False, "lr_schedules": ["cosine"]}, None, [], id="the paper's"),
        pytest.param(
            {"share_prefix": True, "lr_schedules": ["cosine"]},
            None,
            [SHARED],
            id="shared, as declared",
            marks=pytest.mark.full,
        ),
        pytest.param({"lr_schedules": ["cosine"]}, "trunk", [SHARED], id="shared, as the tables say"),
        pytest.param(
            {"share_prefix": True, "lr_schedules": ["cosine", "cosine_compute", "wsd"]},
            "trunk",
            [OTHER_RATES, SHARED],
            id="other learning rates",
        ),
    ],
)
def test_verdicts_of_what_is_not_the_papers_experiment_are_marked_on_the_page_and_in_the_terminal(
    record: dict, parent: str | None, said: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, rows = Folder.open(tmp_path), simulated_sweep.simulate(Truth())
    few = [r for r in rows if r["size"] == "25k" and r["budget"] == "10t" and r["seed"] == 0]
    few[0]["forked_from"] = parent
    simulated_sweep.write(folder, few)
    folder.write_json("sweep.json", folder.read_json("sweep.json") | record)
    departures = data.load(folder).departures
    assert [found.startswith(start) for found, start in zip(departures, said, strict=True)] == [True] * len(said)
    assert main(["claims", str(tmp_path), "--bootstrap", "100"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("NOT THE PAPER'S EXPERIMENT") == len(said)
    assert printed.count("(not the paper's experiment)") == (7 if said else 0)
    page = html.unescape(page_of(folder))
    assert page.count("(not the paper's experiment)") == (7 if said else 0)
    assert ("Not the paper's experiment:" in page) is bool(said)
    for text in said:
        assert text in page
    assert main(["claims", str(tmp_path), "--bootstrap", "100", "--json"]) == 0
    assert [v["departures"] for v in json.loads(capsys.readouterr().out)] == [list(departures)] * 7


def rated(good: int) -> Power:
    """Rates of every claim: `good` of 200 true worlds are reproduced."""
    rates = ClaimRates(Rates(200, good, 4), Rates(200, 2, 90), "the truth of a true world", "that of a false one")
    return Power(200, 200, "σ drawn", "the law", {c.CLAIM: rates for c in claims.CLAIMS}, {})


def test_the_first_screen_says_what_is_asked_was_run_came_out_and_means_and_what_the_sweep_can_tell(
    evidence: Evidence,
) -> None:
    power = rated(good=184)
    verdicts = error_rates.hold(claims.judge(evidence), power)
    page = html.unescape(render(evidence, verdicts, (), power))
    first = page[page.index('id="first"') : page.index('<section id="verdicts">')]
    assert "<i>N</i><sub>avg</sub> = (<i>N</i><sub>1</sub> + " in first
    assert first.count("<li>") == len(verdicts)
    for verdict in verdicts:
        link = f'<span class="badge {verdict.verdict.replace(" ", "-")}">{verdict.verdict}</span>: <a href="#claim-{verdict.claim[0]}'
        assert link in first
        assert verdict.statement in first
    for outcome, text in MEANING.items():
        assert f">{outcome}</dt><dd>{text}" in first
    assert "mean over training steps of the number of non-zero prunable weights" in first
    assert evidence.noise.overall is not None
    assert f"σ of {evidence.noise.overall.sd:.4f} nats" in first
    assert f"0.01 nats is {0.01 / evidence.noise.overall.sd:.2g} and" in first
    assert "(b) 92%" in first
    assert "Of 7 claims: " in first
    for shown in ("92% [87%, 95%]", "2% [1%, 5%]", "1% [0%, 4%]"):
        assert page.count(shown) >= 7, shown
    assert page.count("the truth of a true world") == page.count(error_rates.STANDS) == 7


def test_a_page_without_error_rates_calls_nothing_not_reproduced(evidence: Evidence) -> None:
    power = Power.unknown("nobody drew a world")
    verdicts = error_rates.hold(claims.judge(evidence), power)
    page = html.unescape(render(evidence, verdicts, (), power))
    assert "not reproduced" in {v.ruled for v in verdicts}
    assert 'class="badge not-reproduced"' not in page
    assert "How often its rules err isn't known (nobody drew a world)" in page
    assert "this sweep can't tell: the rule alone says not reproduced" in page.lower()
