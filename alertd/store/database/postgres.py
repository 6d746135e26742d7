"""PostgreSQL: a few connections, set up so that no wait is for ever, and an ear for what others write.

Rules that hold here:
- the URL is libpq's, several hosts and ``target_session_attrs=read-write`` with it, so that a connection that
  broke is made again to whichever server takes writes now;
- a commit is on the disk when it returns, whatever the server's default is;
- nobody waits for a lock, and nobody holds one while doing nothing, for longer than the limits below;
- what the ear hears is a hint: whatever it misses is found by the next look.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event

from alertd.errors import SettingsError
from alertd.store.database.base import CHANNEL, Database, break_off

if TYPE_CHECKING:
    import psycopg
    from sqlalchemy.engine import ExceptionContext

CONNECTIONS = 4
CONNECT_LIMIT_S = 5
STATEMENT_LIMIT_S = 30
IDLE_LIMIT_S = 10
"""Between two statements of a transaction: a node that is stopped amidst one lets go of its locks then."""

HEAR_AGAIN_S = 2.0
LISTEN_FOR_S = 30.0

# Each of these means that this connection is of no use any more, though it may not look broken.
_USELESS = frozenset({
    "25006",  # read_only_sql_transaction: the server is a standby by now
    "57P01", "57P02", "57P03", "57P05",  # it is shutting down, has crashed, starts up, or hung up on us
})  # fmt: skip

_DEFAULTS: dict[str, Any] = {
    "connect_timeout": CONNECT_LIMIT_S,
    "application_name": "alertd",
    # A server that is gone without a word is noticed within half a minute.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}


def open_postgres(url: str, busy_timeout_s: float) -> Database:
    """The database at ``url``, a URI of libpq. Nothing is connected yet.

    Raises:
        SettingsError: libpq cannot read it, or psycopg is not installed.
    """
    try:
        import psycopg
        from psycopg.conninfo import conninfo_to_dict
    except ImportError as error:
        raise SettingsError("PostgreSQL needs psycopg: install alertd[postgres]") from error
    try:
        given = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        # What libpq says of it may quote a password.
        form = "postgresql://user@host/database"
        raise SettingsError(f"the database is no URL that libpq can read: it is {form}") from None
    settings = _DEFAULTS | {name: value for name, value in given.items() if value is not None}
    settings |= {"client_encoding": "utf8"}

    def connect() -> psycopg.Connection[Any]:
        return psycopg.connect(**settings)

    # Without parameters, errors hold nothing of what was written.
    engine = create_engine(
        "postgresql+psycopg://",
        creator=connect,
        hide_parameters=True,
        pool_size=CONNECTIONS,
        max_overflow=0,
        use_native_hstore=False,
    )

    @event.listens_for(engine, "connect")
    def _set_up(connection: psycopg.Connection[Any], _record: Any) -> None:
        limits = {
            "lock_timeout": busy_timeout_s,
            "statement_timeout": max(STATEMENT_LIMIT_S, busy_timeout_s),
            "idle_in_transaction_session_timeout": IDLE_LIMIT_S,
        }
        for name, seconds in limits.items():
            connection.execute("select set_config(%s, %s, false)", (name, str(max(1, round(seconds * 1000)))))
        connection.execute(
            "select set_config('synchronous_commit', 'on', false) "
            "where current_setting('synchronous_commit') = 'off'"
        )
        connection.commit()

    @event.listens_for(engine, "handle_error")
    def _judge(context: ExceptionContext) -> None:
        if getattr(context.original_exception, "sqlstate", None) in _USELESS:
            context.is_disconnect = True

    return Database(
        reader=engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True),
        writer=engine.execution_options(isolation_level="READ COMMITTED"),
        where=_where(given),
        threads=CONNECTIONS,
        is_shared=True,
        ear=ListenConnection(connect),
    )


def _where(given: dict[str, Any]) -> str:
    """Hosts and database; no user, no password."""
    hosts = str(given.get("host") or given.get("hostaddr") or "localhost").split(",")
    ports = str(given.get("port") or "").split(",")
    ports = ports if len(ports) == len(hosts) else ports[:1] * len(hosts)
    named = ",".join(f"{host}:{port}" if port else host for host, port in zip(hosts, ports, strict=True))
    return f"postgresql://{named}/{given.get('dbname') or given.get('user') or ''}"


class ListenConnection:
    """Listens on a connection and a thread of its own, and calls when another process has written."""

    def __init__(self, connect: Callable[[], psycopg.Connection[Any]]) -> None:
        self.name = token_hex(8)
        self._connect = connect
        self._closed = threading.Event()
        self._connection: psycopg.Connection[Any] | None = None
        self._thread: threading.Thread | None = None

    def listen(self, heard: Callable[[], object]) -> None:
        """From now on call ``heard``, in the ear's own thread."""
        self._thread = threading.Thread(target=self._listen, args=[heard], name="alertd-ear", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Hear nothing more."""
        self._closed.set()
        connection = self._connection
        if connection is not None:
            with suppress(Exception):  # it may be closed by now
                break_off(connection.fileno())
        if self._thread is not None:
            self._thread.join(CONNECT_LIMIT_S)

    def _listen(self, heard: Callable[[], object]) -> None:
        import psycopg

        while not self._closed.is_set():
            try:
                self._hear(heard)
            except (psycopg.Error, OSError):
                # Whoever uses the database for something says what is wrong with it.
                self._closed.wait(HEAR_AGAIN_S)

    def _hear(self, heard: Callable[[], object]) -> None:
        with self._connect() as connection:
            self._connection = connection
            try:
                connection.autocommit = True
                connection.execute(f"listen {CHANNEL}")
                # Something may have been written while nobody listened.
                heard()
                while not self._closed.is_set():
                    for note in connection.notifies(timeout=LISTEN_FOR_S, stop_after=1):
                        if note.payload != self.name:
                            heard()
            finally:
                self._connection = None
