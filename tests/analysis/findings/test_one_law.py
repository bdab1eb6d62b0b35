"""Which runs one law of dense runs is asked of."""

from analysis.findings import one_law
from analysis.worlds.simulated_post_training import design


def test_pruned_models_are_asked_where_their_learning_rate_decays() -> None:
    tables = design(seeds=1)
    assert {*tables.runs.where(tables.runs["rho"] > 0)["run_id"]} > {*one_law.kinds(tables)["pruned once"]["run_id"]}
    assert all(run_id.endswith("-decayed") for run_id in one_law.kinds(tables)["pruned once"]["run_id"])
