"""Which test runs which command of the pages, where tests/docs/test_commands.py doesn't run the page's own line.

A promise names the verb and the options of a run; tests/conftest.py holds each test to its own whenever it runs.
"""

from __future__ import annotations

PROMISES: dict[str, tuple[str, ...]] = {
    "tests/analysis/test_main.py::test_claims_as_json_hold_value_interval_rule_and_verdict": ("analysis claims",),
    "tests/analysis/test_main.py::test_figures_alone_leave_no_page": ("analysis figures",),
    "tests/analysis/figures/test_random_features.py::"
    "test_the_command_draws_without_any_table_and_its_numbers_show_the_average_exact_where_nothing_is_zeroed": (
        "analysis random-features",
    ),
    "tests/analysis/laws/formulas/test_shipped.py::test_repeats_are_fitted_with_the_law_of_fresh_data_known": (
        "analysis fit --law data_constrained --fix --columns",
    ),
    "tests/analysis/laws/formulas/test_shipped.py::test_the_steps_of_the_page_lead_from_losses_to_an_error": (
        "analysis fit --law downstream_error --columns --bootstrap --json",
        "analysis fit --law over_training --columns --bootstrap --json",
        "analysis predict --through N= D=",
    ),
    "tests/analysis/report/test_direction.py::test_the_page_has_the_claims_on_the_direction_alone": (
        "analysis report",
    ),
    "tests/analysis/verbs/test_conveniences.py::test_each_group_has_a_fit_and_a_small_one_is_named": (
        "analysis fit --law chinchilla --by",
    ),
    "tests/analysis/verbs/test_formula_options.py::test_a_law_file_with_levels_is_fitted_saved_and_predicts": (
        "analysis fit --formula --bounds --fix",
    ),
    "tests/analysis/verbs/test_isoflop_command.py::test_the_figure_and_its_numbers_are_written": (
        "analysis isoflop --columns --method free --out",
    ),
    "tests/analysis/verbs/test_keep.py::test_the_same_can_be_said_of_what_is_kept": ("analysis keep",),
    "tests/analysis/verbs/test_recipes_command.py::test_it_prints_one_object_with_a_figure_beside_it": (
        "analysis recipes --by --reference --beyond --out",
    ),
    "tests/analysis/verbs/test_recipes_command.py::test_other_names_of_columns_are_taken": (
        "analysis recipes --by --columns",
    ),
    "tests/analysis/verbs/test_tokens_until.py::"
    "test_tokens_come_with_an_interval_and_without_a_warning_inside_the_rows": (
        "analysis fit --law post_training_pruning --exclude --clusters --bootstrap --json",
        "analysis predict within= N0= rho=",
    ),
    "tests/analysis/verbs/test_last_evaluations.py::test_any_column_orders_them_and_the_summary_says_so": (
        "analysis fit --law chinchilla --clusters --last",
    ),
    "tests/analysis/verbs/test_weights.py::test_and_so_they_are_for_the_command": (
        "analysis fit --law chinchilla --weights",
    ),
    "tests/bench/test_first_hour.py::test_a_plan_says_what_and_how_long_and_runs_nothing": ("bench.first_hour --plan",),
    "tests/bench/test_gpu.py::test_it_measures_a_size_alone_and_beside_itself_and_the_plan_reads_what_it_writes": (
        "bench.gpu --out",
    ),
    "tests/bench/test_roof.py::test_the_sizes_of_the_paper_as_written": ("bench.roof",),
    "tests/cluster/test_doctor.py::test_a_sound_machine_has_no_fault_and_keeps_nothing": ("cluster doctor",),
    "tests/cluster/test_doctor.py::test_storage_that_the_nodes_do_not_share": ("cluster doctor --address",),
    "tests/cluster/test_jobs.py::test_a_sweep_goes_out_and_its_tables_come_back": (
        "cluster wait --nodes",
        "cluster submit --dashboard --results",
        "cluster logs --follow",
        "cluster fetch",
    ),
    "tests/cluster/test_jobs.py::test_text_is_built_by_a_cluster_that_is_named": (
        "repro corpus build --address --workers",
    ),
    "tests/cluster/test_jobs.py::test_a_path_is_doubted_on_several_nodes": ("cluster stop",),
    "tests/cluster/test_slurm.py::test_the_rendered_script_trains_a_sweep_to_its_tables_and_leaves_nothing": (
        "sbatch",
    ),
    "tests/docs/test_bare.py::test_only_by_the_readme_to_figure_verdict_sweep_and_fit": (
        "make setup",
        "make quick",
        "make run RUN= SWEEP=",
        "make docs",
        "make help",
        "make check",
        "pip install .[analysis]",
        "analysis fit --formula --columns",
        "analysis report --out",
        "sweeps run",
    ),
    "tests/docs/test_bare.py::test_the_further_texts_are_installed": ("make text",),
    "tests/docs/test_make.py::test_a_sweep_is_made_with_its_rates_and_one_run_again": (
        "make reproduce SWEEP= LR= MEASURED=",
        "make run RUN= SWEEP=",
    ),
    "tests/docs/test_make.py::test_a_sweep_is_made_on_a_cluster": ("make reproduce SWEEP= RAY_ADDRESS=",),
    "tests/repro/evaluation/test_evaluate.py::test_perplexity_is_that_of_a_plain_loop": (
        "repro evaluate --window --json",
    ),
    "tests/repro/evaluation/test_harness.py::test_tasks_on_local_data_are_scored_as_by_hand_and_kept": (
        "repro evaluate --tasks",
    ),
    "tests/repro/models/test_inspect.py::test_a_wrong_claim_is_named_and_the_others_hold": ("repro inspect --claim",),
    "tests/repro/models/test_start.py::test_started_from_a_run_it_reads_on_and_takes_the_weights_as_they_are": (
        "repro train --init --out",
    ),
    "tests/repro/surgery/test_prune_command.py::"
    "test_each_method_writes_what_plain_transformers_loads_with_the_loss_that_it_says[depth-ppl]": (
        "repro prune --method depth-ppl --rate --text --sequences",
    ),
    "tests/repro/surgery/test_prune_command.py::"
    "test_each_method_writes_what_plain_transformers_loads_with_the_loss_that_it_says[depth-taylor]": (
        "repro prune --method depth-taylor --rate --text",
    ),
    "tests/repro/training/test_tracker_services.py::test_tensorboard_is_served_with_the_runs": (
        "tensorboard --logdir",
    ),
    "tests/sweeps/test_planned_table.py::test_what_a_claim_of_little_power_needs_is_told_when_asked": (
        "analysis power --sigma --needs",
    ),
    "tests/sweeps/test_run.py::test_a_sweep_trains_every_run_and_joins_the_tables": ("sweeps run",),
    "tests/sweeps/test_run.py::test_only_the_run_that_is_asked_for_is_trained": ("sweeps run --only",),
    "tests/sweeps/test_run.py::test_without_ray_the_same_spec_gives_the_same_loss_to_the_bit": ("repro train --out",),
    "tests/sweeps/test_schema.py::test_the_committed_schema_is_what_the_command_prints": ("sweeps schema",),
    "tests/sweeps/test_status.py::test_the_command_prints_it_once_where_there_is_no_terminal": ("sweeps status",),
    "tests/bench/test_list.py::test_the_list_needs_no_package": ("bench",),
    "tests/test_package.py::test_the_script_fits_where_the_analysis_alone_is_installed": ("sparse-scaling --help",),
    "tests/test_package.py::test_an_empty_environment_takes_the_analysis_alone": ("pip install .[analysis]",),
}

MANIFESTS = "tests/cluster/test_render.py::"
# What runs nowhere here: why, and what is tested in its place.
INSTEAD: dict[str, tuple[str, tuple[str, ...]]] = {
    "kubectl apply": (
        "no Kubernetes here: the manifest against KubeRay's schema, its commands in a shell and on a real Ray",
        (f"{MANIFESTS}test_the_rayjob_holds_to_kuberays_schema", "tests/cluster/test_commands.py::"
         "test_every_command_is_one_that_its_parser_takes"),
    ),
    "kubectl port-forward": ("no Kubernetes here: the port that it forwards, on a real Ray",
                             ("tests/cluster/test_jobs.py::test_a_sweep_goes_out_and_its_tables_come_back",)),
    "ssh": ("no other machine here: the port that it forwards, on a real Ray",
            ("tests/cluster/test_jobs.py::test_a_sweep_goes_out_and_its_tables_come_back",)),
    "ray up": ("no cloud here: the file through the launcher's own validation",
               (f"{MANIFESTS}test_the_cloud_files_pass_rays_own_validation",)),
    "sky launch": ("no cloud here: the task's fields, and its scripts in a shell",
                   (f"{MANIFESTS}test_the_skypilot_task",)),
    "sky jobs": ("no cloud here: the task's fields, and its scripts in a shell",
                 (f"{MANIFESTS}test_the_skypilot_task",)),
    "pip install [hf]": ("`make test-system` installs it, for the tests of the harness",
                         ("tests/repro/evaluation/test_harness.py::"
                          "test_tasks_on_local_data_are_scored_as_by_hand_and_kept",)),
    "pip install .": (
        "a wheel of the checkout is installed, without what it needs",
        ("tests/test_package.py::test_the_script_fits_where_the_analysis_alone_is_installed",),
    ),
    "pip install tensorboard": (
        "`make test-system` installs it",
        ("tests/repro/training/test_tracker_services.py::test_tensorboard_is_served_with_the_runs",),
    ),
    "make test": ("the tests themselves: what CI runs, .ci/run", ()),
    "make test-quick": ("the tests themselves, those of no second each", ()),
}  # fmt: skip
