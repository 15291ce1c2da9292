"""The harness itself, in small: a backlog goes out each way."""

from bench import delivery


def test_a_short_run_delivers_each_way() -> None:
    figures = delivery.run(0.05)
    assert [(figure.metric, figure.unit, figure.target) for figure in figures] == [
        ("delivery.database_side", "messages/s", 35_000),
        ("delivery.composed", "messages/s", None),
        ("delivery.over_http", "messages/s", 3_000),
        ("delivery.over_smtp", "messages/s", 3_000),
    ]
    assert all(figure.value > 0 for figure in figures)
    assert all(figure.cost.keys() >= {"app_us", "postgres_us", "wal_bytes", "dead_tuples"} for figure in figures)
    assert figures[1].limits.keys() >= {"mails, SMTP sink alone", "requests, aiohttp alone"}
