"""The database edge: the pool, and transactions that know which workspace they work for.

One request or one task is one transaction. It is committed here, when the `async with` block ends without an error,
and nowhere else. Row-level security reads the workspace named at the beginning, so a statement that forgets its
workspace sees nothing rather than everything.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID
from weakref import WeakValueDictionary

import psycopg
from psycopg.rows import tuple_row
from psycopg.sql import SQL, Composed, Identifier, Literal
from psycopg_pool import PoolClosed, PoolTimeout

from switchboard.kernel.ahead import Ahead, sending_ahead
from switchboard.kernel.errors import UnavailableError
from switchboard.kernel.furniture import Furniture
from switchboard.kernel.plans import KEPT_PLANS, MARK_OF_MANY, MOST_ROWS_OF_KEPT_PLANS, PLANS_FOR_MANY
from switchboard.kernel.rows import rows_of
from switchboard.kernel.warm_pool import WarmPool
from switchboard.kernel.wire import own_adapters

if TYPE_CHECKING:
    from switchboard.kernel.events import Gathered, Hub

Row = TypeVar("Row")
Value = TypeVar("Value")
Params = Sequence[object] | Mapping[str, object]
Connection = psycopg.AsyncConnection[Any]
Notice = tuple[str, str]
"""Channel and payload."""

CONNECT_TIMEOUT_SECONDS = 5
GET_CONNECTION_SECONDS = 5.0
# The pool waits twice as long before each try to connect again: it must begin anew before it has become lazy.
RECONNECT_SECONDS = 4.0
STATEMENT_TIMEOUT_MILLISECONDS = 30_000
# A server behind a cut network says nothing at all: without these a transaction would wait for it for many minutes.
NETWORK_PATIENCE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 20_000}
# What a connection asks of the server. A process that stands still, or is behind a cut network, in the middle of a
# transaction holds its locks: the server ends it as soon as its leases are over, too, and others go on.
OPTIONS = (
    "-c timezone=UTC -c jit=off -c idle_in_transaction_session_timeout=60s"
    " -c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3 -c tcp_user_timeout=20s"
)
RETRY_AFTER_SECONDS = 2
ROWS_AT_ONCE = 100

_query_counts: ContextVar[list[str] | None] = ContextVar("query_counts", default=None)


@contextmanager
def recorded_queries() -> Iterator[list[str]]:
    """Collect the text of every statement run inside the block: tests assert that pages are bounded."""
    statements: list[str] = []
    token = _query_counts.set(statements)
    try:
        yield statements
    finally:
        _query_counts.reset(token)


class Tx:
    """One open transaction. Services and repositories take it first; none of them ends it."""

    def __init__(
        self, connection: Connection, hub: "Hub", workspace_id: UUID | None, furniture: Furniture | None = None
    ) -> None:
        """`furniture` is what the process keeps of workspaces, for transactions of queue loops."""
        self.connection = connection
        self.hub = hub
        self._workspace_id = workspace_id
        self._furniture = furniture
        self._revisions: dict[UUID, UUID] = {}
        self._now: datetime | None = None
        self._notices: dict[Notice, None] = {}
        self._remembered: dict[UUID | None, dict[str, Any]] | None = None
        # Rows that this transaction made, of which no room can keep anything yet, with the kinds of events that
        # concern what has been written about them since. Whoever marks a row here vouches for that.
        self.newcomers: dict[UUID, frozenset[str]] = {}
        self.is_backfill = False
        self._ahead: Ahead | None = None
        self.keeps_plans = False
        self._mark = ""
        # How many savepoints the present moment is within.
        self.savepoints = 0
        # What `events.gathering` will write; None outside of it.
        self.gathered_events: Gathered | None = None

    @property
    def workspace_id(self) -> UUID:
        """The workspace this transaction works for; asking without one is a bug."""
        if self._workspace_id is None:
            raise RuntimeError("this transaction names no workspace")
        return self._workspace_id

    async def enter_workspace(self, workspace_id: UUID) -> None:
        """Work for another workspace from here on; queue loops do so between the groups of a batch."""
        if self._workspace_id == workspace_id:
            return
        if self._furniture is None:
            await self.connection.execute(f"SET LOCAL app.workspace_id = '{workspace_id}'".encode())
        else:
            await self._enter_furnished(workspace_id)
        self._workspace_id = workspace_id

    async def _enter_furnished(self, workspace_id: UUID) -> None:
        # Names the workspace, and tells its present revision and the moment along with that, by primary key. From here
        # on the transaction has a number, so that whoever changes furniture can wait until those have ended who may
        # still go by what it was.
        cursor = await self.connection.execute(
            b"SELECT app.now(), set_config('app.workspace_id', %(id)s::text, true),"
            b" (SELECT revision FROM app.furniture WHERE workspace_id = %(id)s), pg_current_xact_id()::text",
            {"id": workspace_id},
        )
        row = await cursor.fetchone()
        if row is not None:
            self.note_entered(workspace_id, row[0], row[2])

    def note_entered(self, workspace_id: UUID, now: datetime, revision: UUID | None) -> None:
        """A statement has named the workspace, and read the moment and the revision of its furniture along."""
        self._workspace_id = workspace_id
        if self._now is None:
            self._now = now
        if revision is not None:
            self._revisions[workspace_id] = revision

    async def expect(self, rows: int) -> None:
        """Say of how many rows the statements from here on will be: for many they have plans apart from those for few.

        Where no plans are kept, they are made as Postgres sees fit.
        """
        if self.keeps_plans and rows > MOST_ROWS_OF_KEPT_PLANS:
            self.keeps_plans = False
            self._mark = MARK_OF_MANY
            await self.connection.execute(PLANS_FOR_MANY.encode())

    @contextmanager
    def remembering(self) -> Iterator[None]:
        """Inside, what `remember` reads is read once: for work that changes nothing of it.

        In a queue loop it is read once a revision of the workspace's furniture, by whichever transaction comes first.
        A block inside another goes on with what that one remembers.
        """
        before = self._remembered
        if before is None:
            self._remembered = {}
        try:
            yield
        finally:
            self._remembered = before

    async def remember(self, what: str, read: Callable[["Tx"], Awaitable[Value]]) -> Value:
        """What `read` gives; inside `remembering` the first answer for the workspace counts.

        Whoever gets it shares it with others, and changes nothing in it. `read` reads furniture only.
        """
        if self._remembered is None:
            return await read(self)
        kept = self._remembered.get(self._workspace_id)
        if kept is None:
            kept = self._remembered[self._workspace_id] = self._kept_of_workspace()
        if what not in kept:
            kept[what] = await read(self)
        return cast(Value, kept[what])

    @property
    def keeps_furniture(self) -> bool:
        """Whether what is remembered here outlasts the transaction, so that much may be read to spare many looks."""
        return self._furniture is not None and self._remembered is not None

    def _kept_of_workspace(self) -> dict[str, Any]:
        revision = self._revisions.get(self._workspace_id) if self._workspace_id else None
        if self._furniture is None or revision is None or self._workspace_id is None:
            return {}
        return self._furniture.of(self._workspace_id, revision)

    async def now(self) -> datetime:
        """The present by the one clock, the same instant throughout the transaction."""
        if self._now is None:
            self._now = cast(datetime, await self.fetch_value("SELECT app.now()"))
        return self._now

    def note_now(self, now: datetime) -> None:
        """Keep the present that a statement of this transaction has read along, so that nobody asks for it again."""
        self._now = now

    def notify(self, channel: str, payload: str) -> None:
        """Send a notice when this transaction commits, once however often it is asked for.

        It goes out although a savepoint fails: whoever hears it looks, and finds nothing.
        """
        self._notices[channel, payload] = None

    @property
    def notices(self) -> list[Notice]:
        """What is to be told on commit."""
        return list(self._notices)

    @asynccontextmanager
    async def ahead(self) -> AsyncIterator[None]:
        """Inside, what is only written is sent without waiting for what was sent before.

        Whoever reads waits for all of it. What went wrong with a statement is raised there, at the latest at the end.
        """
        async with sending_ahead(self.connection) as ahead:
            self._ahead = ahead
            try:
                yield
            finally:
                self._ahead = None

    async def write(self, sql: str, params: Params = ()) -> None:
        """Run one statement of which nobody needs to know anything; inside `ahead` it may still run afterwards."""
        await self._run(sql, params, tuple_row)
        if self._ahead is not None:
            self._ahead.push()

    async def execute(self, sql: str, params: Params = ()) -> int:
        """Run one statement and say how many rows it touched."""
        cursor = await self._run(sql, params, tuple_row)
        await self.catch_up()
        return cursor.rowcount

    async def catch_up(self) -> None:
        """Wait until all that was sent ahead is done; raises what went wrong with it."""
        if self._ahead is not None:
            await self._ahead.catch_up()

    async def fetch_all(self, row: type[Row], sql: str, params: Params = ()) -> list[Row]:
        """All rows, each as an instance of `row`, whose field names are the column names."""
        cursor = await self._run(sql, params, rows_of(row))
        found: list[Row] = await cursor.fetchmany(ROWS_AT_ONCE)
        # Making many objects takes a while, in which nobody else of the process would get a turn.
        while len(found) < cursor.rowcount:
            await asyncio.sleep(0)
            found += await cursor.fetchmany(ROWS_AT_ONCE)
        return found

    async def find_one(self, row: type[Row], sql: str, params: Params = ()) -> Row | None:
        """The first row, or None."""
        return await (await self._run(sql, params, rows_of(row))).fetchone()

    async def fetch_tuples(self, sql: str, params: Params = ()) -> list[tuple[Any, ...]]:
        """All rows as plain tuples, for statements whose shape is not worth a class."""
        return await (await self._run(sql, params, tuple_row)).fetchall()

    async def fetch_value(self, sql: str, params: Params = ()) -> Any:  # noqa: ANN401 the caller knows its column
        """The first column of the first row, or None where there is no row."""
        found = await (await self._run(sql, params, tuple_row)).fetchone()
        return None if found is None else found[0]

    @contextmanager
    def backfill(self, *, is_backfill: bool) -> Iterator[None]:
        """What is written inside is the past being filled in: subscribers keep their rows, and begin nothing new."""
        before, self.is_backfill = self.is_backfill, is_backfill
        try:
            yield
        finally:
            self.is_backfill = before

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """A part that may fail alone: its writes are undone, the transaction goes on for the workspace it was in."""
        before, newcomers, gathered = self._workspace_id, dict(self.newcomers), len(self.gathered_events or ())
        self.savepoints += 1
        try:
            async with self.connection.transaction():
                yield
        except BaseException:
            # Postgres takes back the workspace that was entered inside, too.
            self._workspace_id, self.newcomers = before, newcomers
            if self.gathered_events is not None:
                del self.gathered_events[gathered:]
            raise
        finally:
            self.savepoints -= 1

    async def _run(self, sql: str, params: Params, row_factory: Callable[..., Any]) -> psycopg.AsyncCursor[Any]:
        statements = _query_counts.get()
        if statements is not None:
            statements.append(sql)
        cursor = self.connection.cursor(row_factory=row_factory)
        return await cursor.execute(f"{sql}{self._mark}".encode(), params or None)


class Database:
    """The pool of one process. `application_url` must name a role that cannot bypass row-level security.

    Every statement, commit and rollback passes through `wait` of a connection of `connection_class`.
    """

    def __init__(
        self,
        application_url: str,
        hub: "Hub",
        *,
        max_connections: int = 10,
        connection_class: type[Connection] = psycopg.AsyncConnection,
    ) -> None:
        self.application_url = application_url
        self.most_connections = max_connections
        self._hub = hub
        self._furniture = Furniture()
        self._own: WeakValueDictionary[int, Connection] = WeakValueDictionary()
        self._listeners: list[Callable[[Sequence[Notice]], None]] = []
        self._pool = WarmPool(
            application_url,
            connection_class=connection_class,
            min_size=1,
            max_size=max_connections,
            open=False,
            timeout=GET_CONNECTION_SECONDS,
            # A backend keeps what it has ever cached: letting idle ones go gives the memory of a busy hour back.
            max_idle=30,
            reconnect_timeout=RECONNECT_SECONDS,
            kwargs={
                "autocommit": True,
                "connect_timeout": CONNECT_TIMEOUT_SECONDS,
                **NETWORK_PATIENCE,
                "options": OPTIONS,
                "application_name": "switchboard",
                "context": own_adapters(),
            },
        )

    async def open(self) -> None:
        """Start the pool; connections are made as they are needed."""
        await self._pool.open()

    async def close(self) -> None:
        """Close every connection; open transactions are rolled back."""
        await self._pool.close()

    def on_commit(self, listener: Callable[[Sequence[Notice]], None]) -> None:
        """Call back with the notices of each transaction of this process as soon as it is committed.

        Others hear them over Postgres; within the process nobody needs to wait for that.
        """
        self._listeners.append(listener)

    def has_told(self, backend_pid: int) -> bool:
        """Whether a notice of this backend was one of our own, of which the listeners know already."""
        connection = self._own.get(backend_pid)
        return connection is not None and not connection.closed

    @asynccontextmanager
    async def transaction(self, workspace_id: UUID, *, user_id: UUID | None = None) -> AsyncIterator[Tx]:
        """A transaction that sees the rows of one workspace, committed when the block ends well."""
        settings = f"SET LOCAL app.workspace_id = '{workspace_id}';"
        if user_id is not None:
            settings += f"SET LOCAL app.user_id = '{user_id}';"
        async with self._begun(settings, workspace_id) as tx:
            yield tx

    @asynccontextmanager
    async def directory(self, *, user_id: UUID | None = None) -> AsyncIterator[Tx]:
        """A transaction outside all workspaces: users, sessions and the address book, no tenant row."""
        settings = "" if user_id is None else f"SET LOCAL app.user_id = '{user_id}';"
        async with self._begun(settings, None) as tx:
            yield tx

    @asynccontextmanager
    async def queue_loop(self, *, keeps_plans: bool = False, workspace_id: UUID | None = None) -> AsyncIterator[Tx]:
        """A transaction that sees the queue tables of every workspace; it enters one to touch anything else.

        With `keeps_plans` its statements are planned once a connection, for any values, until it is to `expect` many
        rows: for loops whose every statement finds its rows by keys. Where the first workspace is known beforehand it
        is entered in the same round trip, and its revision is left for a statement to note along.
        """
        settings = f"SET LOCAL app.scope = 'queue'; {KEPT_PLANS if keeps_plans else ''}"
        if workspace_id is not None:
            settings += f"SET LOCAL app.workspace_id = '{workspace_id}';"
        async with self._begun(settings, workspace_id, self._furniture) as tx:
            tx.keeps_plans = keeps_plans
            yield tx

    async def fetch_alone(
        self, workspace_id: UUID, sql: str, params: Mapping[str, object], notice: Notice
    ) -> tuple[Any, ...] | None:
        """The first row of one statement that is a transaction by itself: one round trip instead of three.

        The statement itself enters the workspace, `set_config('app.workspace_id', %(workspace)s::text, true)`, before
        any row is touched, and tells the notice, `pg_notify(%(channel)s, %(notice)s)`. It must do no harm when it is
        run twice: whether a connection that was lost has committed it nobody knows, and the next one is tried.
        """
        channel, payload = notice
        known = {**params, "workspace": workspace_id, "channel": channel, "notice": payload}
        for _ in range(self._pool.max_size + 1):
            connection = await self._get_connection()
            self._own[connection.info.backend_pid] = connection
            try:
                found = await Tx(connection, self._hub, workspace_id).fetch_tuples(sql, known)
            except psycopg.OperationalError:
                await self._give_up(connection)
                if not connection.closed:
                    raise
            except BaseException:
                await self._give_up(connection)
                raise
            else:
                self._tell([notice])
                return found[0] if found else None
            finally:
                await self._pool.putconn(connection)
        raise _database_is_away()

    @asynccontextmanager
    async def _begun(
        self, settings: str, workspace_id: UUID | None, furniture: Furniture | None = None
    ) -> AsyncIterator[Tx]:
        connection = await self._connection_in_transaction(settings)
        tx = Tx(connection, self._hub, workspace_id, furniture)
        try:
            yield tx
        except psycopg.OperationalError as error:
            await self._give_up(connection)
            if connection.closed:
                raise _database_is_away() from error
            raise
        except BaseException:
            await self._give_up(connection)
            raise
        else:
            await self._commit(connection, tx.notices)
        finally:
            await self._pool.putconn(connection)

    async def _connection_in_transaction(self, settings: str) -> Connection:
        # The settings travel with BEGIN as one simple query: one round trip, and nothing is left on the session.
        begin = f"BEGIN; SET LOCAL statement_timeout = {STATEMENT_TIMEOUT_MILLISECONDS}; {settings}".encode()
        # After a restart of Postgres each pooled connection fails once; nothing is done yet, so the next may be tried.
        for _ in range(self._pool.max_size + 1):
            connection = await self._get_connection()
            try:
                await connection.execute(begin)
            except psycopg.OperationalError:
                await self._give_up(connection)
                await self._pool.putconn(connection)
            else:
                return connection
        raise _database_is_away()

    async def _get_connection(self) -> Connection:
        try:
            return await self._pool.getconn()
        except (PoolTimeout, PoolClosed, psycopg.OperationalError) as error:
            raise _database_is_away() from error

    async def _commit(self, connection: Connection, notices: Sequence[Notice]) -> None:
        # The notices travel behind COMMIT in one simple query, as a transaction of their own: one that tells something
        # holds a lock, of which the server has one, until its log is on disk, and small ones would wait for large ones.
        told = [SQL("; NOTIFY {}, {}").format(Identifier(channel), Literal(payload)) for channel, payload in notices]
        self._own[connection.info.backend_pid] = connection
        try:
            cursor = await connection.execute(Composed([SQL("COMMIT"), *told]))
            if cursor.statusmessage != "COMMIT":
                raise RuntimeError("a statement of this transaction had failed, so nothing of it was kept")
        except psycopg.OperationalError as error:
            await self._give_up(connection)
            raise _commit_in_doubt() from error
        finally:
            # Also where nobody knows whether it was kept: whoever looks finds it, or nothing.
            if notices:
                self._tell(notices)

    def _tell(self, notices: Sequence[Notice]) -> None:
        for listener in self._listeners:
            listener(notices)

    async def _give_up(self, connection: Connection) -> None:
        try:
            await connection.rollback()
        except psycopg.Error:
            # The connection is gone, and with it the transaction; the pool replaces it.
            await connection.close()


def _database_is_away() -> UnavailableError:
    return UnavailableError(
        "The database cannot be reached at the moment. Nothing was changed; try again shortly.",
        retry_after_seconds=RETRY_AFTER_SECONDS,
    )


def _commit_in_doubt() -> UnavailableError:
    return UnavailableError(
        "The database went away while it was saving, so nobody knows whether the change was kept. "
        "Look first, then try again.",
        retry_after_seconds=RETRY_AFTER_SECONDS,
    )
