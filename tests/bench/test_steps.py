"""The benchmark of the stepper, in small: its figures and what they say of themselves."""

from bench import steps


def test_every_figure_is_there_with_what_it_costs() -> None:
    figures = {figure.metric: figure for figure in steps.run(0.5, rows=300, sleeping=2_000)}
    assert list(figures) == [
        "steps.bare",
        "steps.kept_with_a_snapshot_held",
        "steps.with_a_message",
        "steps.lateness p50",
        "steps.lateness p99",
        "steps.lateness_beside_sleeping_runs p50",
        "steps.lateness_beside_sleeping_runs p99",
        "steps.bare_beside_sleeping_runs",
    ]
    assert {"app_us", "postgres_us", "wal_bytes", "dead_tuples"} <= figures["steps.bare"].cost.keys()
    assert {"app_us", "postgres_us", "wal_bytes", "dead_tuples"} <= figures["steps.with_a_message"].cost.keys()
    assert figures["steps.bare"].value > 0
    assert figures["steps.with_a_message"].value > 0
    assert figures["steps.bare_beside_sleeping_runs"].value > 0
    assert figures["steps.bare_beside_sleeping_runs"].cost["sleeping"] == 2_000
    assert "single-row commits, 1 connections" in figures["steps.bare"].limits
