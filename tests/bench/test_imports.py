"""The harness itself, in small: a file is imported to its last row."""

from bench import imports


def test_a_short_run_imports_a_whole_file() -> None:
    figures = imports.run(0.2, rows=500)
    assert [(figure.metric, figure.unit, figure.target) for figure in figures] == [
        ("import.rows", "1/s", 11_111),
        ("import.seconds_a_million", "s", 90),
    ]
    assert all(figure.value > 0 and figure.cost["app_us"] > 0 for figure in figures)
