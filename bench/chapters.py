"""What each benchmark is, in words, and which limit of the machine its figures are held against."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Chapter:
    """One benchmark: its title, how it is measured, and the beginnings of metrics with the limit that bounds each."""

    title: str
    method: str
    limits: Mapping[str, str] = field(default_factory=dict)


CHAPTERS: Mapping[str, Chapter] = {
    "intake": Chapter(
        "Taking signals in",
        "A real `serve` process and `wrk` with 64 connections on the same cores. Every answer counts only when it"
        " is 202, and afterwards every acknowledged signal must be found in the database. The peers have the same"
        " load on an endpoint of their own: Express in front of BullMQ, whose Redis syncs every write to disk"
        " (`appendfsync always`), and FastAPI in front of procrastinate and pgqueuer, on the same embedded"
        " Postgres with the same settings.",
        {"intake.single": "empty ASGI", "intake.arrays": "rows, unnest with dedupe"},
    ),
    "recognise": Chapter(
        "Recognising them",
        "A backlog of signals through the real recognition: the contact found or made, the lead opened, routed to"
        " its owner, and its flow started, in one transaction a batch.",
    ),
    "steps": Chapter(
        "Stepping flows",
        "Runs of real flows with row security on. DBOS does workflows of two steps, procrastinate jobs that defer"
        " the next one; a step of theirs counts as one of ours.",
    ),
    "delivery": Chapter(
        "Delivering",
        "A backlog of messages through the gate, composed, leased, sent and completed. The database's side is the claim"
        " behind a lease, the gate, and the fenced completion with attempt and event, and nothing between the two: no"
        " mail is composed or kept. `delivery.composed` is the whole with a provider that takes everything at once."
        " The peers post a small JSON object for each job to the same kind of server, with 50 connections, and neither"
        " compose a letter nor ask a gate.",
        {"delivery.over_smtp": "mails, SMTP sink alone", "delivery.over_http": "requests, aiohttp alone"},
    ),
    "path": Chapter(
        "From a signal to the provider",
        "Signals are posted on time, whether or not the last was answered; each counts from the moment it is due"
        " until the mail server reads MAIL FROM. In between lie intake, recognition, routing, a flow, the gate and"
        " a letter.",
    ),
    "jobs": Chapter(
        "Jobs",
        "Jobs that do nothing, laid ready before the clock starts. Ours have row security and a transaction with"
        " a savepoint around each handler. graphile-worker runs with its local queue and its batched completion,"
        " pgqueuer with asyncpg and batches of 100, procrastinate with 50 jobs at once, BullMQ with 50 on a Redis"
        " that syncs every write, DBOS with 20 workflows under way.",
        {"jobs.no_op": "single-row commits, 16 connections"},
    ),
    "import": Chapter("Importing", "Rows of a file until the last one is recognised, duplicates included."),
    "pages": Chapter(
        "Pages",
        "The 95th percentile of each page, asked for one after the other on a connection that stays open,"
        " measured at the client on the same machine.",
    ),
    "grow": Chapter(
        "Growing",
        "The same work at growing sizes of the tables it touches, a server for each. Filling has come to rest with a"
        " checkpoint; then the sizes take turns, and the least of four rounds counts. The cost of an item may grow by a"
        " third at most from the smallest to the largest. Beyond a million people only what stands in queues grows.",
    ),
    "priority": Chapter("A page during a campaign", "The wait of a page alone, and of one during a campaign."),
    "limits": Chapter("The machine by itself", "What the disk, Postgres and the web server do here without us."),
}
