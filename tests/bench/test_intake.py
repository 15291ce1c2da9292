"""The harness itself, in small: what was acknowledged is counted against what is stored."""

from bench import intake


def test_a_short_run_measures_everything() -> None:
    figures = {figure.metric: figure for figure in intake.run(0.2)}
    assert {metric: (figure.unit, figure.target) for metric, figure in figures.items()} == {
        "intake.single": ("signals/s", 12_000),
        "intake.single.p50": ("ms", None),
        "intake.single.p99": ("ms", 30),
        "intake.arrays_of_100": ("signals/s", 80_000),
        "intake.arrays_of_100.p99": ("ms", None),
    }
    keys = {"app_us", "postgres_us", "wal_bytes", "commits", "dead_tuples", "processor_share"}
    assert figures["intake.single"].cost.keys() == keys
    assert {"empty ASGI", "rows, unnest with dedupe", "fdatasync"} <= figures["intake.single"].limits.keys()
