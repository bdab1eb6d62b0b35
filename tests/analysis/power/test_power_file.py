"""Which changes of the code make known error rates void."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.power import power_file

FILES = {
    "power/rates.py": "from analysis.claims import all_claims\n",
    "claims/__init__.py": '"""Claims."""\n\ndef all_claims():\n    from analysis.claims.one import MARGIN\n    return [MARGIN]\n',
    "claims/one.py": "import math\n\nfrom analysis import shown\n\nMARGIN = 0.016  # nats\n",
    "shown.py": 'class Shown:\n    """How."""\n\n    digits = 3\n',
    "figures/page.py": "WIDTH = 3\n",
}


def digest(root: Path, **changed: str) -> str:
    for name, text in FILES.items():
        file = root / "analysis" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(changed.get(name, text))
    power_file.code_digest.cache_clear()
    return power_file.code_digest((root / "analysis" / "power" / "rates.py",), root)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("claims/one.py", "0.016", "0.017"),
        ("claims/__init__.py", "[MARGIN]", "[2 * MARGIN]"),
        ("shown.py", "digits = 3", "digits = 4"),
    ],
)
def test_a_change_of_what_the_rules_need_counts(tmp_path, name, old, new):
    before = digest(tmp_path)
    assert digest(tmp_path, **{name: FILES[name].replace(old, new)}) != before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("claims/one.py", "# nats", "# in nats a token"),
        ("claims/__init__.py", '"""Claims."""', '"""What is claimed."""'),
        ("shown.py", '"""How."""', '"""How numbers look."""'),
        ("figures/page.py", "3", "4"),
    ],
)
def test_comments_docstrings_and_other_modules_do_not(tmp_path, name, old, new):
    before = digest(tmp_path)
    assert digest(tmp_path, **{name: FILES[name].replace(old, new)}) == before


def test_the_rules_of_this_checkout_are_in_it_and_its_figures_are_not():
    here = power_file.ROOT / "analysis"
    found = set(power_file.code_modules())
    assert {
        here / "claims" / "pairs.py",
        here / "worlds" / "simulated_sweep.py",
        here / "laws" / "__init__.py",
    } <= found
    assert not found & set((here / "figures").glob("*.py"))
