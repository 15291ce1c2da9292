"""What the intake room adds to a process: its job handlers and its queue."""

from collections.abc import Mapping

from switchboard.intake import housekeeping
from switchboard.intake.import_jobs import ImportJobs
from switchboard.kernel.jobs import JobHandler


def job_handlers() -> Mapping[str, JobHandler]:
    """By kind of job; one call a process, for imports keep their open files here."""
    return {**ImportJobs().handlers(), housekeeping.KIND: housekeeping.clean_up}
