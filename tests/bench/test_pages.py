"""The harness itself, in small: every page answers over filled tables."""

from bench import pages


def test_a_short_run_measures_every_page() -> None:
    *timed, script = pages.run(0.1, rows=2_000)
    named = {figure.metric.partition(" ")[2] for figure in timed}
    assert {"/", "/leads", "/leads/board", "/contacts", "/inbox", "/leads/ID", "/contacts/ID"} <= named
    assert {(figure.unit, figure.target) for figure in timed} == {("ms", 50)}
    assert (script.metric, script.unit, script.target) == ("pages.script", "KB", 60)
    assert script.value > 0
