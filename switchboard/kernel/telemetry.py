"""Figures for Prometheus. Processes of one machine share them through files in PROMETHEUS_MULTIPROC_DIR.

The client library decides where to keep a figure when it is imported, so `prepare_shared_figures` comes before the
first import of this module's users; `up` sets the variable for its children.
"""

from prometheus_client import Counter, Histogram

REQUEST_SECONDS = Histogram(
    "switchboard_request_seconds",
    "Time from the first byte of a request to the last of its answer.",
    ["area", "method", "status"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
SIGNALS = Counter("switchboard_signals", "Signals by what intake did with them.", ["outcome"])
KEPT_SIGNALS = Counter("switchboard_kept_signals", "Signals kept outside Postgres: while it was away, or first of all.")
BROUGHT_IN_SIGNALS = Counter("switchboard_brought_in_signals", "Kept signals that were brought into Postgres.")
SENDS = Counter("switchboard_sends", "Tries to send a message by channel and outcome.", ["channel", "outcome"])
HANDLED = Counter("switchboard_queue_handled", "Rows a queue's loop has handled.", ["queue"])
QUEUE_FAILURES = Counter("switchboard_queue_failures", "Batches that failed and will be tried again.", ["queue"])
STEP_LATENESS = Histogram(
    "switchboard_step_lateness_seconds",
    "How long after its moment the step was done that waited longest of those that were done together.",
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 3600.0),
)
