"""The harness itself, in small: it runs to its end, and its own checks of what arrived hold."""

import json

import pytest

from bench import path
from bench.results import as_json, as_text

RATES = (100, 1_000)
PERCENTILES = ("p50", "p99", "p999", "acknowledged.p99")
METRICS = [
    *(f"path.latency_at_{rate}.{percentile}" for rate in RATES for percentile in PERCENTILES),
    "path.keeps_up_with",
    "path.recognised_routed_started",
    "path.steps_with_a_message",
    "path.delivered_over_smtp",
]


def test_a_short_run_measures_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("SMTP_HOST", "DATABASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    figures = path.run(0.1, rates=RATES)
    decoded = json.loads(as_json(figures))
    assert [figure["metric"] for figure in decoded] == METRICS
    assert [figure["unit"] for figure in decoded] == ["ms"] * 8 + ["1/s"] * 4
    assert all(figure["value"] > 0 for figure in decoded if figure["metric"] != "path.keeps_up_with")
    assert [figure["metric"] for figure in decoded if figure["target"]][:2] == [
        "path.latency_at_1000.p50",
        "path.latency_at_1000.p99",
    ]
    assert decoded[0]["cost"]["app_us"] > 0
    assert decoded[0]["limits"].keys() == {
        "single-row commits, 1 connections",
        "single-row commits, 16 connections",
        "fdatasync",
        "NOTIFY p50, ms",
        "NOTIFY p99, ms",
        "mails, SMTP sink alone",
        "load average",
    }
    assert as_text(figures).startswith("path.latency_at_100.p50: ")
