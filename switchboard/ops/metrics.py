"""The text that Prometheus reads: the processes' figures, and the queues as the database has them."""

from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry, Gauge, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from switchboard.ops.health import Health


def render_metrics(health: Health, shared: Path | None) -> bytes:
    """Everything in the exposition format; with a shared folder, the figures of all processes of this machine."""
    processes: CollectorRegistry = REGISTRY
    if shared is not None and shared.is_dir():
        processes = CollectorRegistry()
        MultiProcessCollector(processes, path=str(shared))  # type: ignore[no-untyped-call]
    return generate_latest(processes) + generate_latest(_queues(health))


def _queues(health: Health) -> CollectorRegistry:
    registry = CollectorRegistry()
    ready = Gauge("switchboard_ready", "1 when traffic may come here.", registry=registry)
    depth = Gauge("switchboard_queue_depth", "Rows due, counted up to 10,000.", ["queue"], registry=registry)
    lag = Gauge("switchboard_queue_lag_seconds", "Age of the oldest due row.", ["queue"], registry=registry)
    kept = Gauge("switchboard_kept", "Signals that are kept outside Postgres now.", registry=registry)
    kept_bytes = Gauge("switchboard_kept_bytes", "Room that they take.", registry=registry)
    oldest = Gauge("switchboard_kept_oldest_seconds", "Age of the oldest of them.", registry=registry)
    ready.set(1 if health.is_ready else 0)
    kept.set(health.kept.signals)
    kept_bytes.set(health.kept.bytes)
    oldest.set(health.kept.oldest_seconds or 0)
    for queue in health.queues:
        depth.labels(queue.name).set(queue.depth)
        lag.labels(queue.name).set(queue.lag_seconds)
    return registry
