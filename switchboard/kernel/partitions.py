"""The tables that are partitioned by month, for whoever makes room for the months to come."""

PARTITIONED = ("event", "signal", "signal_outcome", "attempt", "run_step")
