"""Open a PostgreSQL database: a pool of connections with time limits, and a connection that listens.

Rules for the connections:

- libpq reads the URL. With several hosts and ``target_session_attrs=read-write`` in the URL, alertd
  reconnects to the server that accepts writes (PostgreSQL, "Connection URIs").
- A commit is on disk when it returns, whatever the server's default is (``synchronous_commit``).
- The limits below bound how long a statement waits for a lock and how long an idle transaction keeps its
  locks.
- A notification is only a hint. alertd also looks at the ledger regularly, so a lost notification causes a
  delay and nothing else.
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
"""How long a transaction may be idle. When a node is suspended during a transaction, the server ends the
transaction after this time and releases its locks."""

RECONNECT_AFTER_S = 2.0
LISTEN_FOR_S = 30.0

# SQLSTATEs after which a connection must be replaced, even if its socket still works.
_USELESS = frozenset({
    "25006",  # read_only_sql_transaction: the server has become a standby
    "57P01", "57P02", "57P03", "57P05",  # shutdown, crash, startup, idle session closed
})  # fmt: skip

_DEFAULTS: dict[str, Any] = {
    "connect_timeout": CONNECT_LIMIT_S,
    "application_name": "alertd",
    # With these values, alertd notices within 30 seconds that a server has disappeared.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}


def open_postgres(url: str, busy_timeout_s: float) -> Database:
    """Return the database at ``url``, a libpq connection URI. No connection is opened yet.

    Args:
        busy_timeout_s: how long a statement waits for a lock, in seconds.

    Raises:
        SettingsError: libpq cannot parse ``url``, or psycopg is not installed.
    """
    try:
        import psycopg
        from psycopg.conninfo import conninfo_to_dict
    except ImportError as error:
        raise SettingsError("PostgreSQL needs psycopg: install alertd[postgres]") from error
    try:
        given = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        # The message leaves out the text of libpq's error because it may quote a password.
        form = "postgresql://user@host/database"
        raise SettingsError(f"the database is no URL that libpq can read: it is {form}") from None
    settings = _DEFAULTS | {name: value for name, value in given.items() if value is not None}
    settings |= {"client_encoding": "utf8"}

    def connect() -> psycopg.Connection[Any]:
        return psycopg.connect(**settings)

    # hide_parameters keeps the written values out of error messages.
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
    def _mark_useless(context: ExceptionContext) -> None:
        if getattr(context.original_exception, "sqlstate", None) in _USELESS:
            context.is_disconnect = True

    return Database(
        reader=engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True),
        writer=engine.execution_options(isolation_level="READ COMMITTED"),
        where=_format_address(given),
        threads=CONNECTIONS,
        is_shared=True,
        listener=ListenConnection(connect),
    )


def _format_address(given: dict[str, Any]) -> str:
    """Return hosts, ports and database as a URL without user and password."""
    hosts = str(given.get("host") or given.get("hostaddr") or "localhost").split(",")
    ports = str(given.get("port") or "").split(",")
    ports = ports if len(ports) == len(hosts) else ports[:1] * len(hosts)
    named = ",".join(f"{host}:{port}" if port else host for host, port in zip(hosts, ports, strict=True))
    return f"postgresql://{named}/{given.get('dbname') or given.get('user') or ''}"


class ListenConnection:
    """Listens for notifications of other processes, in a thread and on a connection of its own.

    Implements :class:`alertd.store.database.base.Listener`. The connection is opened again when it breaks.
    """

    def __init__(self, connect: Callable[[], psycopg.Connection[Any]]) -> None:
        self.name = token_hex(8)
        self._connect = connect
        self._closed = threading.Event()
        self._connection: psycopg.Connection[Any] | None = None
        self._thread: threading.Thread | None = None

    def listen(self, heard: Callable[[], object]) -> None:
        """Start the thread. It calls ``heard`` when another process has committed."""
        self._thread = threading.Thread(target=self._listen, args=[heard], name="alertd-listen", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop the thread and close the connection."""
        self._closed.set()
        connection = self._connection
        if connection is not None:
            with suppress(Exception):  # the thread may have closed it already
                break_off(connection.fileno())
        if self._thread is not None:
            self._thread.join(CONNECT_LIMIT_S)

    def _listen(self, heard: Callable[[], object]) -> None:
        import psycopg

        while not self._closed.is_set():
            try:
                self._receive(heard)
            except (psycopg.Error, OSError):
                # The error is not reported here: the next transaction reports what is wrong with the
                # database.
                self._closed.wait(RECONNECT_AFTER_S)

    def _receive(self, heard: Callable[[], object]) -> None:
        with self._connect() as connection:
            self._connection = connection
            try:
                connection.autocommit = True
                connection.execute(f"listen {CHANNEL}")
                # Another process may have written before the connection listened.
                heard()
                while not self._closed.is_set():
                    for note in connection.notifies(timeout=LISTEN_FOR_S, stop_after=1):
                        if note.payload != self.name:
                            heard()
            finally:
                self._connection = None
