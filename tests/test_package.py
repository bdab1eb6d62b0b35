"""What `pip install` makes of the checkout: a wheel with all files that commands read, whose analysis needs neither torch nor Ray."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

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
    for name in ("pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, folder / "source")
    call = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    subprocess.run([*call, str(folder / "source")], check=True, capture_output=True)
    [made] = folder.glob("*.whl")
    return made


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
    assert here - held == set()


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
    assert (done.returncode, done.stderr.strip()) == (0, "")
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


@pytest.mark.system
def test_an_empty_environment_takes_the_analysis_alone(wheel: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "env")], check=True)
    python = str(tmp_path / "env" / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", f"{wheel}[analysis]"], check=True)
    listed = subprocess.run([python, "-m", "pip", "list"], check=True, capture_output=True, text=True).stdout
    assert not set(HEAVY) & {line.split()[0] for line in listed.splitlines()}
    call = [python, "-m", "analysis"]
    done = subprocess.run([*call, *FIT], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert "converged" in done.stdout
    report = ["report", str(EVIDENCE), "--out", str(tmp_path / "page"), "--worlds", "0"]
    subprocess.run([*call, *report], cwd=tmp_path, check=True)
    assert (tmp_path / "page" / "report.html").stat().st_size > 1e5


def test_the_lock_is_of_all_extras_that_setup_installs() -> None:
    assert "--extra train --group dev" in (ROOT / "requirements.lock").read_text()
    assert set(PROJECT["optional-dependencies"]) == {"analysis", "train", "harness", "public-model"}
