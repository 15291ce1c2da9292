"""The harness itself, in small: pages come alone and beside a campaign that is still going out."""

import pytest

from bench import priority


def test_a_short_run_measures_pages_alone_and_beside_a_campaign(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("SMTP_HOST", "DATABASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    figures = priority.run(0.3, rows=6_000)
    assert [figure.metric for figure in figures] == [
        "priority.page_alone.p50",
        "priority.page_alone.p99",
        "priority.page_alone.p999",
        "priority.page_during_campaign.p50",
        "priority.page_during_campaign.p99",
        "priority.page_during_campaign.p999",
    ]
    assert all(figure.value > 0 and figure.unit == "ms" for figure in figures)
    assert [figure.target for figure in figures] == [None] * 3 + [figure.value for figure in figures[:3]]
