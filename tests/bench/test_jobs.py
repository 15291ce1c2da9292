"""The harness itself, in small: jobs are added, run and picked up."""

from bench import jobs


def test_a_short_run_measures_everything() -> None:
    figures = jobs.run(0.2)
    assert [(figure.metric, figure.unit, figure.target) for figure in figures] == [
        ("jobs.added", "1/s", None),
        ("jobs.no_op", "1/s", 10_000),
        ("jobs.pickup.p50", "ms", 2),
        ("jobs.pickup.p99", "ms", 20),
    ]
    assert all(figure.value > 0 for figure in figures)
    assert figures[1].cost["postgres_us"] > 0
    assert figures[0].limits.keys() == {
        "single-row commits, 1 connections",
        "single-row commits, 16 connections",
        "NOTIFY p50, ms",
        "NOTIFY p99, ms",
    }
