"""How figures are printed."""

from bench.results import Figure, as_json, as_text

FIGURE = Figure(
    "intake.single",
    12_345,
    "signals/s",
    "higher",
    12_000,
    {"fdatasync": 13_000.0},
    {"a peer": 580.0},
    {"app_us": 41.5},
    {"another": "it is not installed"},
)


def test_text_has_a_line_a_figure_with_its_limits_and_peers_below() -> None:
    assert as_text([FIGURE]).splitlines() == [
        "intake.single: 12,345 signals/s  (target 12,000)",
        "    limit  fdatasync: 13,000",
        "    peer   a peer: 580",
        "    peer   another: absent, it is not installed",
        "    cost   app_us: 41.5",
    ]


def test_json_is_one_array_with_every_field() -> None:
    assert as_json([FIGURE]).replace("\n", "").replace(" ", "") == (
        '[{"metric":"intake.single","value":12345,"unit":"signals/s","better":"higher","target":12000,'
        '"limits":{"fdatasync":13000.0},"peers":{"apeer":580.0},"cost":{"app_us":41.5},"absent":{"another":"itisnotinstalled"}}]'
    )
