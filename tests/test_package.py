"""What `pip install` makes of the checkout: a wheel with all files that commands read, whose analysis needs neither torch nor Ray."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
import zipfile
from email.parser import HeaderParser
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from repro.console.guard import EXTRAS
from sweeps import grid

ROOT = Path(__file__).parents[1]
PACKAGES = ("analysis", "cluster", "repro", "sweeps")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
HEAVY = ("torch", "ray", "deepspeed", "transformers", "datasets", "tokenizers")
EVIDENCE = ROOT / "docs" / "evidence" / "laptop"
FIT = ["fit", str(EVIDENCE / "runs.parquet"), "--law", "chinchilla", "--columns", "N=N_avg,D=D"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that no build folder stays in the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, folder / "source" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "LICENSE", "sparse_scaling.py"):
        shutil.copy(ROOT / name, folder / "source")
    call = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    subprocess.run([*call, str(folder / "source")], check=True, capture_output=True)
    [made] = folder.glob("*.whl")
    return made


def unwarned(text: str) -> list[str]:
    """Lines that are no warnings: a law of N_avg alone misses these runs, which is said."""
    return [line for line in text.splitlines() if not line.startswith("warning: ")]


@pytest.mark.slow
def test_the_wheel_has_every_file_of_the_packages(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    here = {
        str(file.relative_to(ROOT))
        for name in PACKAGES
        for file in (ROOT / name).rglob("*.*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert {"analysis/report/page.html.j2", "cluster/templates/slurm.sh.j2", "sweeps/sweep.schema.json"} <= here
    assert {*here, "sparse_scaling.py"} - held == set()


@pytest.mark.slow
def test_only_who_trains_needs_what_trains(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as files:
        [name] = [name for name in files.namelist() if name.endswith(".dist-info/METADATA")]
        asked = HeaderParser().parsestr(files.read(name).decode()).get_all("Requires-Dist", [])
    train = [line for line in asked if 'extra == "train"' in line]
    assert all(any(line.startswith(name) for line in train) for name in HEAVY)
    assert not any(line.startswith(HEAVY) for line in asked if line not in train)


@pytest.mark.slow
def test_the_installed_analysis_works_away_from_the_checkout_without_what_trains(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as files:
        files.extractall(tmp_path / "installed")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'installed')!r}); from analysis.__main__ import main; "
        f"code = main({FIT!r}); sys.exit(code or sorted(set({HEAVY!r}) & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, unwarned(done.stderr)) == (0, [])
    assert "chinchilla: L = E + A/N^α + B/D^β" in done.stdout


@pytest.mark.slow
def test_the_installed_library_fits_and_draws_without_what_trains(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as files:
        files.extractall(tmp_path / "installed")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'installed')!r}); import analysis; "
        f"fit = analysis.fit(analysis.read({str(EVIDENCE / 'runs.parquet')!r}, N='N_avg'), 'chinchilla'); "
        f"fit.plot('fit.png'); print(fit.status); sys.exit(sorted(set({(*HEAVY, 'pandas')!r}) & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr.strip(), done.stdout.strip()) == (0, "", "converged")
    assert (tmp_path / "fit.png").stat().st_size > 1e4


@pytest.fixture(scope="module")
def script(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The installed script of an environment that has what `pip install .[analysis]` installs, links to the packages here."""
    folder = tmp_path_factory.mktemp("alone")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    [site] = folder.glob("lib/python*/site-packages")
    for name in needed([*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["analysis"]]):
        held = metadata.distribution(name)
        for top in {file.parts[0] for file in held.files or ()} - {".."}:
            if not (site / top).exists():
                (site / top).symlink_to(Path(str(held.locate_file(top))).resolve())
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--no-index", str(wheel)], check=True, capture_output=True)
    return folder / "bin" / "sparse-scaling"


def needed(lines: list[str]) -> set[str]:
    """The distributions that these requirements bring, with what those need."""
    found: set[str] = set()
    waiting = [Requirement(line) for line in lines]
    while waiting:
        one = waiting.pop()
        if one.name not in found:
            found.add(one.name)
            further = [Requirement(line) for line in metadata.requires(one.name) or ()]
            waiting += [own for own in further if own.marker is None or own.marker.evaluate({"extra": ""})]
    return found


@pytest.mark.slow
def test_the_script_fits_where_the_analysis_alone_is_installed(script: Path, tmp_path: Path) -> None:
    done = subprocess.run([str(script), *FIT], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, unwarned(done.stderr)) == (0, [])
    assert "chinchilla: L = E + A/N^α + B/D^β" in done.stdout
    helped = subprocess.run([str(script), "train", "--help"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert helped.stdout.startswith("usage: sparse-scaling train ")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "package"),
    [
        ("train spec.json --out out", "torch"), ("evaluate model text.txt", "torch"), ("flatness model text.txt", "torch"),
        ("export run out", "transformers"), ("prune model out --method wanda --rate .1 --text text.txt", "torch"),
        ("grow model out --method grow-width --factor 2", "torch"), ("run quick.yaml", "rich"), ("logs job-1 --dashboard http://127.0.0.1:1", "requests"),
        ("wait --nodes 1", "ray"),
    ],
)  # fmt: skip
def test_a_verb_that_trains_says_on_one_line_which_extra_it_needs(
    words: str, package: str, script: Path, tmp_path: Path
) -> None:
    shutil.copy(ROOT / "sweeps" / "quick.yaml", tmp_path)
    spec = next(run.spec for run in grid.expand(ROOT / "sweeps" / "quick.yaml").runs)
    (tmp_path / "spec.json").write_text(json.dumps(spec.to_dict()))
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "RAY_ADDRESS": "127.0.0.1:1"}
    done = subprocess.run([str(script), *words.split()], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert done.stderr.startswith(f"error: {package} is needed here and isn't installed: pip install '.[train]'")


def test_the_extras_that_messages_name_are_those_of_the_project() -> None:
    named = {
        Requirement(line).name: extra
        for extra in ("analysis", "train")
        for line in PROJECT["optional-dependencies"][extra]
        if not line.startswith(PROJECT["name"])
    }
    assert {package: EXTRAS.get(package) for package in named} == named


@pytest.mark.system
def test_an_empty_environment_takes_the_analysis_alone(wheel: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "env")], check=True)
    python = str(tmp_path / "env" / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", f"{wheel}[analysis]"], check=True)
    listed = subprocess.run([python, "-m", "pip", "list"], check=True, capture_output=True, text=True).stdout
    assert not set(HEAVY) & {line.split()[0] for line in listed.splitlines()}
    script = str(tmp_path / "env" / "bin" / "sparse-scaling")
    done = subprocess.run([script, *FIT], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert "converged" in done.stdout
    report = ["report", str(EVIDENCE), "--out", str(tmp_path / "page"), "--worlds", "0"]
    subprocess.run([script, *report], cwd=tmp_path, check=True)
    assert (tmp_path / "page" / "report.html").stat().st_size > 1e5


def test_the_lock_is_of_all_extras_that_setup_installs() -> None:
    assert "--extra train --group dev" in (ROOT / "requirements.lock").read_text()
    assert set(PROJECT["optional-dependencies"]) == {"analysis", "train", "harness", "public-model"}
