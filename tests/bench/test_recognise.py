"""The harness itself, in small: everybody is recognised, and what it took is told."""

from bench import recognise


def test_a_short_run_measures_everything() -> None:
    figures = recognise.run(0.2, rows=300)
    assert [(figure.metric, figure.unit, figure.target) for figure in figures] == [
        ("recognise.new_people", "1/s", 5_000),
        ("recognise.returning_people", "1/s", None),
        ("recognise.half_duplicates", "1/s", None),
        ("recognise.lone_lead", "ms of processor", None),
        ("recognise.lone_lead.statements", "statements", None),
    ]
    assert all(figure.value > 0 for figure in figures)
    assert all(figure.cost["wal_bytes"] > 0 for figure in figures[:4])
