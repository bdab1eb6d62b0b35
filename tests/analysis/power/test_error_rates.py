"""What error rates allow a verdict to say."""

from __future__ import annotations

import pytest

from analysis import claims
from analysis.claims import Outcome, Verdict
from analysis.claims.verdict import ClaimRates, Rates
from analysis.power import error_rates
from analysis.power.error_rates import Power


def verdict(outcome: Outcome) -> Verdict:
    return Verdict("b", "It holds.", "nats", 0.02, (0.018, 0.022), "less", "the rule", outcome, "the error is over it")


def power(false_alarms: int) -> Power:
    rates = ClaimRates(Rates(200, 170, false_alarms), Rates(200, 3, 150), "the law", "another law")
    return Power(200, 200, "σ", "law", {"b": rates}, {})


def held(outcome: Outcome, found: Power) -> Verdict:
    [only] = error_rates.hold((verdict(outcome),), found)
    return only


def test_not_reproduced_stands_where_a_true_claim_rarely_gets_it() -> None:
    found = held("not reproduced", power(false_alarms=10))
    assert (found.verdict, found.ruled, found.because) == ("not reproduced", "not reproduced", "the error is over it")
    assert found.rates is not None
    assert found.rates.power == pytest.approx(0.85)


def test_not_reproduced_becomes_inconclusive_where_a_true_claim_often_gets_it() -> None:
    found = held("not reproduced", power(false_alarms=11))
    assert (found.verdict, found.ruled) == ("inconclusive", "not reproduced")
    assert found.because.startswith("this sweep can't tell: the rule alone says not reproduced (the error is over it)")
    assert "6% [3%, 10%]" in found.because


@pytest.mark.parametrize("found", [Power.unknown("nobody drew a world"), Power(200, 200, "", "", {}, {})])
def test_not_reproduced_doesnt_stand_where_its_rate_isnt_known(found: Power) -> None:
    got = held("not reproduced", found)
    assert (got.verdict, got.ruled, got.rates) == ("inconclusive", "not reproduced", None)
    assert "isn't known" in got.because


@pytest.mark.parametrize("outcome", ["reproduced", "inconclusive"])
def test_other_verdicts_stay_with_their_rates(outcome: Outcome) -> None:
    found = held(outcome, power(false_alarms=100))
    assert (found.verdict, found.because) == (outcome, "the error is over it")
    assert found.rates is not None


def test_json_holds_both_error_rates_and_what_the_rule_alone_says() -> None:
    [found] = claims.as_json((held("not reproduced", power(false_alarms=100)),))
    assert (found["verdict"], found["ruled"]) == ("inconclusive", "not reproduced")
    assert found["rates"]["true"] == {"worlds": 200, "reproduced": 170, "not_reproduced": 100}
    assert found["rates"]["false"]["reproduced"] == 3
    assert found["rates"]["when_false"] == "another law"
