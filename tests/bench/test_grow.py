"""The harness itself, in small: every path works all of its items at every size."""

from bench import grow


def test_a_short_run_measures_every_path_at_every_size() -> None:
    figures = grow.run(0.1, sizes=(2_000, 2_500), items=500, rounds=1)
    paths = ("intake", "recognise", "step", "deliver", "leads_page", "contacts_page")
    assert [figure.metric for figure in figures] == [f"grow.{path}.{size}" for path in paths for size in (2_000, 2_500)]
    assert all(figure.value > 0 and figure.unit == "us" for figure in figures)
    assert [figure.target is None for figure in figures] == [True, False] * len(paths)
