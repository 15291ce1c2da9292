"""The limits, in small: each is measured, and a time is not taken for a rate."""

from bench import limits


def test_every_limit_is_measured() -> None:
    figures = {figure.metric: (figure.unit, figure.better) for figure in limits.run(0.1)}
    assert figures == {
        **dict.fromkeys(
            [
                "limits.fdatasync",
                "limits.single-row commits, 1 connections",
                "limits.single-row commits, 16 connections",
                "limits.rows, COPY",
                "limits.rows, unnest with dedupe",
                "limits.empty ASGI",
                "limits.mails, SMTP sink alone",
                "limits.requests, aiohttp alone",
            ],
            ("1/s", "higher"),
        ),
        "limits.NOTIFY p50": ("ms", "lower"),
        "limits.NOTIFY p99": ("ms", "lower"),
        "limits.aiohttp request": ("us", "lower"),
    }
