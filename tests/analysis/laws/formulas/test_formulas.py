"""Laws that are written as formulas: what a text means, its slopes, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from analysis.laws.formulas import declared, formula, parser, written
from analysis.laws.formulas.formula import FormulaLaw
from analysis.laws.formulas.tape import Tape
from analysis.laws.registry import LAWS
from repro.errors import UserError

COLUMNS = {
    "N": np.array([3e4, 4e5, 5e6, 8e7]),
    "D": np.array([2e5, 8e6, 3e8, 1e9]),
    "S": np.array([0.0, 0.5, 0.875, 0.2]),
    "P_w": np.array([3.0, 8.0, 16.0, 4.0]),
    "N_final": np.array([1e4, 2e5, 1e6, 5e6]),
    "N_prunable": np.array([3e4, 4e5, 5e6, 3e7]),
    "bits": np.array([0.0, 2.0, 1.0, 2.0]),
}
LEVELS = {"bits": ("fp4", "fp8", "bf16")}
VALUES = {
    "E": 1.7,
    "A": 350.0,
    "B": 900.0,
    "alpha": 0.34,
    "beta": 0.29,
    "w": 0.4,
    "k": 0.7,
    "g": 2.5,
    "c": 20.0,
    "b_S": 0.7,
}


def law_of(text: str, **said: Any) -> FormulaLaw:
    return declared.law_of(formula.read(written.of_data({"formula": text, **said}), COLUMNS), LEVELS)


def theta_of(law: FormulaLaw) -> np.ndarray:
    return np.array([VALUES.get(name, 1.0 + 0.1 * i) for i, name in enumerate(law.names)])


def bounded(**bounds: tuple[float, float]) -> dict[str, Any]:
    return {name: {"bounds": list(own)} for name, own in bounds.items()}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 - 2 - 3", -4.0),
        ("8 / 4 / 2", 1.0),
        ("2 ^ 3 ^ 2", 512.0),
        ("-2 ^ 2", -4.0),
        ("2 ** -1 · 3 − 1e-1", 1.4),
        ("(1 + 2) * 3", 9.0),
        ("log(exp(2)) + ln(1) + log10(100) + log2(8)", 7.0),
        ("sqrt(16) + min(2, 3) * max(2, 3)", 10.0),
        ("tanh(0.5) + sigmoid(0)", math.tanh(0.5) + 0.5),
        ("--3 + +.5", 3.5),
    ],
)
def test_a_text_means_what_arithmetic_says(text: str, value: float) -> None:
    [found] = Tape([parser.expression(text)]).run({}, {})
    assert float(found) == pytest.approx(value, rel=1e-14)


FORMS: list[tuple[str, dict[str, Any]]] = [
    ("E + A/N^alpha + B/D^beta", {}),
    ("E + (A*(1-S)^b_S + c)*N^-alpha + B*D^-beta", {}),
    ("E + A/(N*(1 - exp(-P_w/g)))^alpha", {"parameters": bounded(g=(0.05, 50))}),
    ("E + A/(N_final^w*N_prunable^(1-w))^alpha", {"parameters": bounded(w=(0, 1.5))}),
    ("E + A*tanh(k*S)/N^alpha + B*sigmoid(k - S)", {"parameters": bounded(k=(0.1, 3))}),
    ("E + A*min(D/N, 10^g)^-alpha + B*max(k*S, S^2)", {"parameters": bounded(g=(0.1, 3), k=(0.1, 3))}),
    ("E + A*sqrt(k + S)/N^alpha", {"parameters": bounded(k=(0.1, 3))}),
    ("log(loss) = E + k*log(6*N*D) + g*S", {}),
    ("E + A[bits]/N^alpha + B/D^beta", {}),
    ("E + A/(N*eff[bits])^alpha", {"parameters": bounded(eff=(0.05, 20)), "fixed": {"eff[bf16]": 1}}),
    ("E + A/N^alpha + B/D^beta", {"fixed": {"E": 1.69}, "tied": {"alpha": "beta"}}),
    ("E + (A*M^alpha + B*M^-alpha)*C^-alpha", {"where": {"M": "D/N", "C": "6*N*D"}}),
    ("E + A/(k + log(N)) + B*log(log(D) + k)/D^beta", {"parameters": bounded(k=(0.1, 3))}),
]


@pytest.mark.parametrize(("text", "said"), FORMS)
def test_a_gradient_equals_central_differences(text: str, said: dict[str, Any]) -> None:
    law = law_of(text, **said)
    theta = theta_of(law)
    gradient = law.gradient(theta, COLUMNS)
    assert gradient.shape == (4, len(theta))
    for i, value in enumerate(theta):
        found = []
        for width in (1e-4 * value, 2e-4 * value):
            above, below = theta.copy(), theta.copy()
            above[i], below[i] = value + width, value - width
            found.append((law.predict(above, COLUMNS) - law.predict(below, COLUMNS)) / (2 * width))
        numeric = (4 * found[0] - found[1]) / 3
        scale = np.abs(gradient[:, i]).max() + np.abs(law.predict(theta, COLUMNS)).max() / abs(value) * 1e-4
        np.testing.assert_allclose(gradient[:, i], numeric, rtol=1e-7, atol=1e-7 * scale)


@pytest.mark.parametrize(("text", "said"), FORMS)
def test_a_batch_of_parameters_predicts_what_each_predicts_alone(text: str, said: dict[str, Any]) -> None:
    law = law_of(text, **said)
    batch = theta_of(law) * np.array([[1.0], [1.1], [0.9]])
    np.testing.assert_array_equal(law.predict(batch, COLUMNS), [law.predict(one, COLUMNS) for one in batch])
    np.testing.assert_array_equal(law.gradient(batch, COLUMNS), [law.gradient(one, COLUMNS) for one in batch])


@pytest.mark.parametrize(("text", "said"), FORMS)
def test_the_scales_are_linear(text: str, said: dict[str, Any]) -> None:
    law = law_of(text, **said)
    theta = theta_of(law)
    rest, basis = law.linear(theta[None], COLUMNS)
    scales = np.array([value for p, value in zip(law.parameters, theta, strict=True) if not p.starts])
    whole = rest + basis @ scales
    np.testing.assert_allclose(
        np.exp(whole) if law.logarithmic else whole, law.predict(theta[None], COLUMNS), rtol=1e-12
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("chinchilla", "E + A/N^alpha + B/D^beta"),
        ("N_effective", "E + A/(N_final^w*N_prunable^(1-w))^alpha + B/D^beta"),
        ("sparse", "(a_S*(1-S)^b_S + c_S)*N^-b_N + a_D*D^-b_D + c"),
        ("over_training", "E + (a*(D/N)^eta + b*(D/N)^-eta)*(6*N*D)^-eta"),
    ],
)
def test_a_formula_of_a_registered_law_is_that_law(name: str, text: str) -> None:
    theirs, ours = LAWS[name], law_of(text, parameters=bounded(w=(0, 1.5)) if name == "N_effective" else {})
    assert set(ours.names) == set(theirs.names)
    values = {p.name: p.starts[0] if p.starts else 2.0 for p in theirs.parameters}
    one, other = (np.array([values[name] for name in law.names]) for law in (theirs, ours))
    np.testing.assert_allclose(ours.predict(other, COLUMNS), theirs.predict(one, COLUMNS), rtol=1e-14)
    order = [ours.names.index(name) for name in theirs.names]
    np.testing.assert_allclose(ours.gradient(other, COLUMNS)[:, order], theirs.gradient(one, COLUMNS), rtol=1e-12)
    said = {p.name: (p.log, bool(p.starts)) for p in ours.parameters}
    assert said == {p.name: (p.log, bool(p.starts)) for p in theirs.parameters}


def test_the_logarithm_of_a_law_is_that_law() -> None:
    law, same = law_of("log(loss) = log(E + A/N^alpha + B/D^beta)"), law_of("E + A/N^alpha + B/D^beta")
    assert (law.parameters, law.logarithmic, law.formula) == (
        same.parameters,
        False,
        "exp(log(E + A/N^alpha + B/D^beta))",
    )
    np.testing.assert_array_equal(law.predict(theta_of(law), COLUMNS), same.predict(theta_of(law), COLUMNS))


def test_what_is_fixed_and_tied_is_no_parameter() -> None:
    law = law_of("E + A/N^alpha + B/D^beta", fixed={"E": 1.69}, tied={"alpha": "beta"})
    assert set(law.names) == {"A", "B", "beta"}
    theta = np.array([{"A": 300.0, "B": 500.0, "beta": 0.3}[name] for name in law.names])
    np.testing.assert_allclose(
        law.predict(theta, COLUMNS), 1.69 + 300 / COLUMNS["N"] ** 0.3 + 500 / COLUMNS["D"] ** 0.3, rtol=1e-13
    )


def test_a_group_has_a_parameter_for_each_level() -> None:
    law = law_of("E + A/(N*eff[bits])^alpha", parameters=bounded(eff=(0.05, 20)), fixed={"eff[bf16]": 1})
    assert set(law.names) == {"E", "A", "alpha", "eff[fp4]", "eff[fp8]"}
    values = {"E": 1.0, "A": 10.0, "alpha": 0.3, "eff[fp4]": 0.2, "eff[fp8]": 0.5}
    found = law.predict(np.array([values[name] for name in law.names]), COLUMNS)
    np.testing.assert_allclose(found, 1 + 10 / (COLUMNS["N"] * [0.2, 1.0, 0.5, 1.0]) ** 0.3, rtol=1e-13)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lo + (hi - lo)*sigmoid(k*(log(C) - m))", bounded(k=(-5, -0.01), m=(20, 70))),  # flat but at usual C
        ("E + A/N^alpha*(1 + (N/at)^2)^(-0.5*g)", bounded(at=(1e7, 1e10), g=(0.01, 2))),
        ("E + A/N^alpha + B/(U*(1 + R*(1 - exp(-(D/U - 1)/R))))^beta", bounded(R=(0.1, 1000))),
        ("a + b*log(C)", {}),
        ("log(loss) = a*log(N) + b*log(X) + c*log(N)*log(X) + d", {}),
    ],
)
def test_a_law_that_rows_can_tell_is_not_refused(text: str, said: dict[str, Any]) -> None:
    law = declared.law_of(formula.read(written.of_data({"formula": text, "parameters": said}), "NDCUX"), {})
    assert set(said) == {p.name for p in law.parameters if p.starts} - {"alpha", "beta"}


def test_a_floor_and_terms_that_fall_are_positive_and_a_line_is_not() -> None:
    low = {p.name: p.low for p in law_of("E + A/N^alpha + B/D^beta").parameters}
    assert low == {"E": 0.0, "A": 1e-9, "alpha": 0.01, "B": 1e-9, "beta": 0.01}
    law = law_of("E[bits] + A[bits]/N^alpha")
    assert {p.name[0]: p.low for p in law.parameters} == {"E": 0.0, "A": 1e-9, "a": 0.01}
    low = {p.name: p.low for p in law_of("E + A/N^alpha + b*log(D)").parameters}
    assert low == {"E": -math.inf, "A": 1e-9, "alpha": 0.01, "b": -math.inf}
    assert {p.low for p in law_of("log(loss) = E + b*log(D)").parameters} == {-math.inf}


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("E + A/Nn^alpha", {}, "an unknown name"),
    ("E + A/Nn^alpha + B/D^beta", {}, "an unknown name"),
    ("E + A/N^alpha + cosh(D)", {}, "an unknown function"),
    ("E + A/N^alpha + D/gamma", {}, "a division by a parameter that may be zero"),
    ("E + D/gamma", {"parameters": bounded(gamma=(-1, 1))}, "a division by a parameter that may be zero"),
    ("E + A/(log(N) - g)", {"parameters": bounded(g=(1, 2))}, "a division by a parameter that may be zero"),
    ("E + A*exp(-k*N)", {}, "an exponent without bound"),
    ("E + A/N^(a*b)", {}, "an exponent without bound"),
    ("E + A/N^a", {"parameters": bounded(a=(0, math.inf))}, "an exponent without bound"),
    ("E + A*(1 + k*S)/N^a", {}, "a parameter without bounds"),
    ("E + A*B/N^a", {}, "parameters that no rows can tell apart"),
    ("E + A/(N*eff[bits])^a", {"parameters": bounded(eff=(0.1, 9))}, "parameters that no rows can tell apart"),
    ("E + A + B/N^a", {}, "parameters that no rows can tell apart"),
    ("__import__('os')", {}, "a character that no formula has"),
    ("E + A/N^a; import os", {}, "a character that no formula has"),
    ("exec(N)", {}, "an unknown function"),
    ("E.__class__", {}, "a character that no formula has"),
    ("lambda x", {}, "not a formula"),
    ("E + A/N^alpha", {"parameters": bounded(N=(0, 1))}, "a parameter with a column's name"),
    ("E + A/N^alpha", {"fixed": {"N": 3}}, "a parameter with a column's name"),
    ("E + A/N^alpha", {"where": {"D": 3}}, "a parameter with a column's name"),
    ("E + A/N^alpha", {"fixed": {"F": 1.69}}, "a fixed name that isn't in the law"),
    ("E + A/N^alpha", {"tied": {"alpha": "beta"}}, "a tied name that isn't in the law"),
    ("E + A/N^alpha", {"parameters": bounded(beta=(0, 1))}, "a parameter that isn't in the law"),
    ("E + A/N^alpha", {"parameters": bounded(alpha=(2, 1))}, "bounds in the wrong order"),
    ("E + A/N^alpha", {"parameters": bounded(alpha=(0.1, 1)), "fixed": {"alpha": 2}}, "fixed outside its bounds"),
    (
        "E + A/N^alpha + B/D^beta",
        {"tied": {"alpha": "beta", "beta": "alpha"}},
        "a tie of a parameter that is fixed or tied",
    ),
    ("E + A/N^alpha", {"where": {"M": "D/N"}}, "a definition that nothing uses"),
    ("E + A/N^alpha", {"parameters": {"alpha": {"bounds": [0.1, 1], "starts": [2]}}}, "a start outside its bounds"),
    ("E + A/N^alpha", {"parameters": {"alpha": {"bound": [0.1, 1]}}}, "a key that no parameter has"),
    ("E + A/N^alpha", {"bounds": {}}, "a key that no law has"),
    ("E + A[colour]/N^alpha", {}, "a group by an unknown name"),
    ("E + A[bits]/N^alpha + A", {}, "a group's name that has another meaning, too"),
    ("loss = E + A*loss", {}, "the loss in its own formula"),
    ("E + A", {}, "a formula without a column"),
    ("N + D", {}, "a formula without a parameter"),
    ("E + 1/0", {}, "a division by zero"),
    ("E + 1e308*10^9", {}, "a number that isn't finite"),
    ("E + A/N^", {}, "not a formula"),
    ("E A", {}, "not a formula"),
    ("", {}, "not a formula"),
    ("(" * 60 + "N" + ")" * 60, {}, "a formula that is too deep"),
    ("N^" * 60 + "2", {}, "a formula that is too deep"),
    ("E+" * 2000 + "N", {}, "a formula that is too long"),
    ("min(N)", {}, "another number of arguments"),
]


@pytest.mark.parametrize(("text", "said", "told"), REFUSED)
def test_what_is_no_law_is_refused_each_with_its_own_words(text: str, said: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError) as caught:
        law_of(text, **said)
    assert caught.value.message == told


def test_definitions_that_double_each_time_are_refused_before_they_fill_the_memory() -> None:
    where = {"x0": "N + D*k"} | {f"x{i + 1}": f"x{i}*log(x{i}) + x{i}" for i in range(40)}
    with pytest.raises(UserError, match="too large"):
        law_of("E + A*x40", where=where, parameters=bounded(k=(1, 2)))


def test_a_written_law_is_the_same_read_again() -> None:
    said = {"formula": "E + A/(N*eff[bits])^alpha", "name": "mine", "parameters": bounded(eff=(0.05, 20)), "fixed": {"eff[bf16]": 1.0}}  # fmt: skip
    own = written.of_data(said)
    assert own.as_data() == said
    assert written.of_data(own.as_data()) == own


WORDS = """
E A B alpha beta g N D S bits loss L x1 exp( log( sqrt( min( max( tanh( sigmoid( __import__( eval( 0 1 2 .5 1e300 1e-300
+ - * / ^ ** ( ) [ ] , = . ' : ; lambda α ∞ _ 6*N*D N^alpha D^-beta A/N^alpha (1-S) [bits]
""".split()  # noqa: SIM905


@pytest.mark.parametrize("count", [300, pytest.param(20_000, marks=pytest.mark.full)])
def test_any_text_is_a_law_or_is_refused_with_words(count: int) -> None:
    rng = np.random.default_rng(0)
    laws = 0
    for _ in range(count):
        text = "".join(rng.choice(WORDS, rng.integers(1, 12)))
        said = {"g": {"bounds": sorted(rng.normal(0, 2, 2).tolist())}} if "g" in text and rng.random() < 0.5 else {}
        try:
            law = law_of(text, parameters=said)
        except UserError:
            continue
        laws += 1
        with np.errstate(all="ignore"):
            assert law.gradient(theta_of(law), COLUMNS).shape == (4, len(law.names))
    assert laws >= count // 200
