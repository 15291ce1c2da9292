"""The page and its charts, from results that are fixed."""

from pathlib import Path
from xml.etree import ElementTree as ET

from bench import report, suite
from bench.chapters import CHAPTERS
from bench.charts import number
from bench.grouping import find_worst, group, with_shares
from bench.results import Figure, as_json

LIMITS = {"empty ASGI": 40_000.0, "fdatasync": 13_000.0}
(SINGLE,) = with_shares(
    [
        Figure(
            "intake.single",
            12_345,
            "signals/s",
            "higher",
            12_000,
            LIMITS,
            {"BullMQ 6.7.0": 15_000, "pgqueuer 1.6.0": 2_469},
            {
                "app_us": 41.5,
                "postgres_us": 13.25,
                "wal_bytes": 512,
                "commits": 0.02,
                "dead_tuples": 0,
                "processor_share": 0.5,
            },
            {"procrastinate": "it is not installed"},
        )
    ],
    CHAPTERS["intake"],
)
P50 = Figure("intake.single.p50", 4.5, "ms", "lower")
P99 = Figure("intake.single.p99", 31.2, "ms", "lower", 30)
JOBS = Figure("jobs.no_op", 900, "1/s", "higher", None, {}, {"procrastinate 3.10.0": 300})
NOTES = {
    "machine": {"Processor": "A processor, 2 cores"},
    "runs": {"intake": {"seconds": 10, "full": True, "took": 90}, "pages": {"failure": "it broke"}},
}


def test_a_peer_ahead_is_named_first_and_one_behind_is_counted_in_times() -> None:
    assert list(report.sentences(SINGLE)) == [
        "`intake.single`: BullMQ 6.7.0 is ahead of us: 15,000 signals/s, 1.22 times.",
        "`intake.single`: not compared with procrastinate: it is not installed.",
    ]
    assert list(report.sentences(JOBS)) == [
        "`jobs.no_op`: the best of the peers, procrastinate 3.10.0, reached 300/s; ours is 3 times ahead."
    ]
    assert list(report.sentences(P50)) == []


def test_the_page_holds_every_figure_once_with_target_limit_and_share() -> None:
    page = report.render({"intake": [SINGLE, P50, P99], "jobs": [JOBS]}, NOTES)
    assert "| Processor | A processor, 2 cores |\n| The whole run | 1.5 minutes |" in page
    assert (
        "| `intake.single` | 12,345 signals/s | ≥ 12,000, met | 40,000 (empty ASGI) | 31% |"
        " BullMQ 6.7.0: 15,000; pgqueuer 1.6.0: 2,469 |" in page
    )
    assert "| `intake.single.p50` | 4.5 ms |  |  |  |  |" in page
    assert "| `intake.single.p99` | 31.2 ms | ≤ 30, missed |  |  |  |" in page
    assert "| `intake.single` | 41.5 | 13.2 | 512 | 0.02 | 0 | 50% |" in page
    assert "Each measurement lasted 10 s; this was the sizes of the targets." in page
    assert "Pages: failed, it broke." in page
    assert page.count("| `jobs.no_op` | 900/s |") == 1


def test_writing_makes_a_page_and_a_chart_a_benchmark(tmp_path: Path) -> None:
    kept, guide = tmp_path / "kept", tmp_path / "guide"
    suite.keep(kept, "intake", [SINGLE, P50, P99], 2.0, full=False)
    suite.keep(kept, "jobs", [JOBS], 3.0, full=False)
    report.write(kept, guide)
    assert (kept / "jobs.json").read_text() == as_json([JOBS]) + "\n"
    assert sorted(file.name for file in (guide / "images").iterdir()) == ["bench-intake.svg", "bench-jobs.svg"]
    page = (guide / "performance.md").read_text()
    assert "![Bars: taking signals in](images/bench-intake.svg)" in page
    assert "Each measurement lasted 2 s; this was a short run." in page
    assert suite.read_notes(kept)["runs"]["jobs"] == {"seconds": 3.0, "full": False, "failure": ""}


def test_a_chart_has_a_bar_a_value_and_a_line_for_the_target(tmp_path: Path) -> None:
    suite.keep(tmp_path, "intake", [SINGLE, P50, P99], 2.0, full=False)
    report.write(tmp_path, tmp_path)
    chart = ET.fromstring((tmp_path / "images" / "bench-intake.svg").read_text())  # noqa: S314 it is our own
    kinds = [bar.get("class") for bar in chart.iter("{http://www.w3.org/2000/svg}rect")]
    assert kinds == ["ours", "peer", "peer", "limit", "ours", "ours"]
    assert len(list(chart.iter("{http://www.w3.org/2000/svg}line"))) == 2
    words = [text.text for text in chart.iter("{http://www.w3.org/2000/svg}text")]
    assert words[:3] == ["intake.single, signals/s", "Switchboard", "12,345"]
    assert "target 30" in words


def test_a_share_is_of_the_limit_that_the_chapter_names() -> None:
    assert (SINGLE.cost["share_of_limit"], JOBS.cost) == (0.309, {})


def test_neighbours_of_one_kind_share_a_scale() -> None:
    pages = [Figure(f"pages.p95 {path}", 10, "ms", "lower", 50) for path in ("/", "/leads")]
    (only,) = group(pages, CHAPTERS["pages"])
    assert (only.title, [bar.label for bar in only.bars], only.target) == ("pages.p95", ["/", "/leads"], 50)


def test_of_many_pages_the_table_shows_the_slowest() -> None:
    pages = [Figure(f"pages.p95 /{path}", value, "ms", "lower", 50) for path, value in (("a", 8), ("b", 70), ("c", 9))]
    assert find_worst([P50, *pages, JOBS]) == [P50, pages[1], JOBS]
    page = report.render({"pages": pages}, {})
    summary, _, chapter = page.partition("## Pages")
    assert ("`pages.p95 /b`" in summary, "`pages.p95 /a`" in summary) == (True, False)
    assert all(f"`pages.p95 /{path}`" in chapter for path in ("a", "c"))


def test_numbers_have_the_digits_that_say_something() -> None:
    assert [number(value) for value in (12_345.6, 99.44, 40.0, 1.2345, 0.0)] == ["12,346", "99.4", "40", "1.23", "0"]
