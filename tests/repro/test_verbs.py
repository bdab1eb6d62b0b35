"""What is given to `python -m repro train | schedule | evaluate`: each wrong thing is refused before work is done."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from repro.__main__ import main
from repro.spec import RunSpec

SCHEDULE = "schedule --sparsity .8 --interval 5 --dense-steps 100 --start .25 --end .75"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_spec) -> Path:
    """A spec of a run, in a folder where the command is said."""
    monkeypatch.chdir(tmp_path)
    spec: RunSpec = make_spec()
    (tmp_path / "spec.json").write_text(json.dumps(spec.to_dict()))
    (tmp_path / "file").write_text("")
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        f"{SCHEDULE} --sparsity nan", f"{SCHEDULE} --sparsity 1", f"{SCHEDULE} --sparsity -0.1", f"{SCHEDULE} --interval 0",
        f"{SCHEDULE} --interval -5", f"{SCHEDULE} --dense-steps 1000000000000", f"{SCHEDULE} --dense-steps 0",
        f"{SCHEDULE} --start nan", f"{SCHEDULE} --end inf", f"{SCHEDULE} --start -1", f"{SCHEDULE} --total-steps 5",
        f"{SCHEDULE} --shape wavy", f"{SCHEDULE} --dense-steps 100000000 --interval 1", "schedule --sparsity 0.5 --interval 5",
        "schedule --sparsity .8 --interval 1 --start-step 0 --end-step 100000000 --total-steps 200000000",
        "train spec.json", "train none.json --out out", "train file --out out", "train / --out out",
        "train spec.json --out file", "train spec.json --out file/deeper", "train spec.json --out /proc/none",
        "train spec.json --out https://example.com/x", "train spec.json --out $NOT_SET_ANYWHERE/x", "train spec.json --out=",
        "train spec.json --out out --micro-batch 0", "train spec.json --out out --micro-batch nan",
        "train spec.json --out out --checkpoint-every -1", "train spec.json --out out --keep-checkpoints 0",
        "train spec.json --out out --at -1", "train spec.json --out out --zero-stage 7",
        "train spec.json --out out --compile --zero-stage 3", "train spec.json --out out --out-of-memory wait",
        "train spec.json --out out --spike 0", "train spec.json --out out --tracker wandb",
        "evaluate model", "evaluate model text --window 0", "evaluate model text --stride 0", "evaluate model text --max-tokens -1",
        "evaluate model text --max-tokens 10000000000000000", "evaluate model --tasks x --limit 0",
        "evaluate model --tasks x --fewshot -1", "evaluate model --tasks x --tasks-path none", "evaluate $NOT_SET_ANYWHERE text",
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(words: str, run: Path, capsys: pytest.CaptureFixture[str]):
    try:
        code = main(words.split())
    except SystemExit as ended:  # argparse's
        code = int(str(ended.code))
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert "Traceback" not in err
    assert not (run / "out").exists()
    assert not (run / "data").exists()
