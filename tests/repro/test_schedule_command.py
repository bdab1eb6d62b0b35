"""`python -m repro schedule`: from compute to steps, back, and drawn."""

import argparse
import json
import re
from pathlib import Path

import pytest

from repro.errors import UserError
from repro.schedule import Declared, PruningSchedule
from repro.verbs import schedule as verb

SCHEDULE = PruningSchedule.resolve(Declared(10_000, 0.8, interval=25))


def both(capsys, *words):
    parser = argparse.ArgumentParser()
    verb.add_parser(parser.add_subparsers())
    assert verb.main(parser.parse_args(["schedule", *words])) == 0
    return capsys.readouterr()


def command(capsys, *words):
    return both(capsys, *words).out


FORWARD = ("--sparsity", ".8", "--dense-steps", "10000", "--start", ".25", "--end", ".75", "--interval", "25")


def test_the_command_prints_the_resolved_schedule_as_json(capsys):
    found = json.loads(command(capsys, *FORWARD, "--json"))
    schedule = SCHEDULE
    assert {name: found[name] for name in ("start_step", "end_step", "total_steps", "events")} == {
        "start_step": 2_500,
        "end_step": schedule.end_step,
        "total_steps": schedule.total_steps,
        "events": schedule.events,
    }
    assert found["density_avg"] == schedule.density_avg
    assert (found["compute_at_start"], found["compute_at_end"]) == (schedule.compute_at_start, schedule.compute_at_end)


def test_the_command_goes_from_steps_to_compute(capsys):
    words = (
        "--sparsity",
        ".6",
        "--start-step",
        "4100",
        "--end-step",
        "16600",
        "--total-steps",
        "26800",
        "--interval",
        "100",
        "--json",
    )
    found = json.loads(command(capsys, *words))
    assert found["events"] == 126
    assert (round(found["compute_at_start"], 4), round(found["compute_at_end"], 4)) == (0.2506, 0.7506)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_drawing_falls_from_one_to_the_final_density_within_the_terminal(width):
    lines = verb.drawing(SCHEDULE, width)
    assert max(map(len, lines)) <= width
    assert "10,000" not in "".join(lines)
    assert f"{SCHEDULE.total_steps:,}" in lines[-2]
    bars = [line.split("│")[1] for line in lines if "│" in line]
    assert len(bars) == verb.HEIGHT
    assert [len(bar) for bar in bars] == sorted(len(bar) for bar in bars), "density rose again"


def test_the_command_refuses_a_schedule_given_half_in_steps(capsys):
    with pytest.raises(UserError, match="in compute or in steps"):
        command(capsys, *FORWARD, "--end-step", "9000")


def test_teeth_are_taken_by_the_shape_that_has_them_alone(capsys):
    pieces = json.loads(command(capsys, *FORWARD, "--shape", "saw_tooth", "--teeth", "2", "--json"))["pieces"]
    assert len(pieces) == 2 + 2 * 2
    for words in ((*FORWARD, "--teeth", "2"), (*FORWARD, "--shape", "saw_tooth", "--teeth", "0")):
        with pytest.raises(UserError) as error:
            command(capsys, *words)
        assert (error.value.key or "").removeprefix("--") == "teeth"


def test_the_command_of_the_documents_draws_a_rising_schedule(capsys):
    page = (Path(__file__).parents[2] / "docs" / "sweeps.md").read_text().replace("\\\n", " ")
    [words] = re.findall(r"^python -m repro schedule (.*)$", page, re.MULTILINE)
    assert words.split() == [*FORWARD, "--mirror"]
    assert "█" in command(capsys, *words.split())


def test_the_mirror_has_the_same_average_and_steps_and_its_pieces_in_reverse(capsys):
    falling, rising = (json.loads(command(capsys, *FORWARD, *more, "--json")) for more in ((), ("--mirror",)))
    assert (rising["density_avg"], rising["total_steps"]) == (falling["density_avg"], falling["total_steps"])
    assert [density for _, density in rising["pieces"]] == [density for _, density in falling["pieces"]][::-1]
    assert (falling["pieces"][0], rising["pieces"][-1]) == ([0, 1.0], [rising["total_steps"] - 2_500, 1.0])
    in_steps = [f"--{name}={falling[name.replace('-', '_')]}" for name in ("start-step", "end-step", "total-steps")]
    again = json.loads(command(capsys, *FORWARD[:2], "--interval", "25", *in_steps, "--mirror", "--json"))
    assert again["pieces"] == rising["pieces"]


def test_static_then_dense_takes_the_share_at_which_it_ends_and_says_what_it_has_no_use_for(capsys):
    words = ("--shape", "static_dense", "--sparsity", ".75", "--interval", "25", "--dense-steps", "1000", "--json")
    note = "note: --start has no meaning for the shape static_dense\n"
    for given, said in ((("--end", ".5"), ""), (("--start", ".25", "--end", ".5"), note)):
        out, err = both(capsys, *words, *given)
        assert (json.loads(out)["pieces"], err) == ([[0, 0.25], [2000, 1.0]], said)
    with pytest.raises(UserError, match="in compute or in steps"):
        command(capsys, *words)
    with pytest.raises(UserError) as error:
        command(capsys, *words[:6], "--start-step", "0", "--end-step", "2000", "--total-steps", "2500")
    assert error.value.key == "shape"


@pytest.mark.parametrize("width", [40, 120])
def test_the_drawing_of_a_mirror_rises_to_one_at_the_right(width):
    bars = [line.split("│")[1] for line in verb.drawing(SCHEDULE.mirrored(), width) if "│" in line]
    falling = [line.split("│")[1] for line in verb.drawing(SCHEDULE, width) if "│" in line]
    assert all(bar.endswith("█") for bar in bars), "dense at the end"
    filled = [sum(mark != " " for mark in bar) for bar in bars]
    assert filled == sorted(filled)
    assert filled == pytest.approx([sum(mark != " " for mark in bar) for bar in falling], abs=2)
