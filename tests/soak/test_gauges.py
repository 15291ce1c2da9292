"""Growth that lasts is told from warming up, from a single leap, and from one that falls back again."""

from collections.abc import Callable

import pytest

from tests.soak.gauges import Sample, growth_of_memory


def growth(size: Callable[[float], float]) -> float:
    """What is said of a process of this size in MB at each second of ten minutes, looked at every five."""
    samples = [Sample(at, {"work": size(at)}, {}, 0, 0, 0, 0, 0.0) for at in range(5, 601, 5)]
    return growth_of_memory(samples)["work"]


@pytest.mark.parametrize(
    ("size", "least", "most"),
    [
        pytest.param(lambda _: 80.0, 0, 0, id="flat"),
        pytest.param(lambda at: 80 + at / 50, 0.06, 0.08, id="a leak of 6 MB in five minutes"),
        pytest.param(
            lambda at: 80 + at / 50 + at % 60 / 20, 0.06, 0.08, id="the same under rubbish that comes and goes"
        ),
        pytest.param(lambda at: 80 + min(at, 450) / 25, 0, 0, id="a cache that is full after seven minutes"),
        pytest.param(lambda at: 80 + 8 * (at > 400), 0, 0, id="one leap"),
        pytest.param(lambda at: 80 + at % 120 / 15, -0.02, 0.03, id="rubbish that comes and goes"),
    ],
)
def test_what_leaks_is_told_from_what_warms_up(size: Callable[[float], float], least: float, most: float) -> None:
    assert least <= growth(size) <= most
