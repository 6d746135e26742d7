"""Elect the leader.

The leader is recorded in one row. The row's term rises by one when another node takes over.
"""

from __future__ import annotations

from sqlalchemy import Connection, case, or_, select, update

from alertd.errors import LeadLost
from alertd.store import schema
from alertd.store.database.dialect import insert_into

_lead, _node = schema.lead, schema.node
RECONCILING = "reconcile"
_MAX_TERM = 2**62
"""The largest term. A row with a term beyond it is damaged, and the terms begin again."""


def take_lead(connection: Connection, *, node: str, at: int, until: int, instead_of: str) -> int | None:
    """Make ``node`` the leader, or renew its leadership.

    Args:
        at: the current time by the ledger's clock, in microseconds since 1970.
        until: when the leadership ends unless it is renewed, by the same clock.
        instead_of: a node that is known to be dead, so ``node`` can take over before its leadership ends.

    Returns:
        The term of ``node``, or None if another node leads.
    """
    insert = insert_into(connection, _lead)
    its_own = _lead.c.node == insert.excluded.node
    # A leadership that ends later than twice its length from now was taken by a clock that was ahead.
    latest = until + (until - at)
    statement = insert.on_conflict_do_update(
        index_elements=["name"],
        set_={
            "node": insert.excluded.node,
            "term": case(
                (_lead.c.term.between(0, _MAX_TERM), case((its_own, _lead.c.term), else_=_lead.c.term + 1)),
                else_=1,
            ),
            "until": insert.excluded.until,
        },
        # A lead until an instant that is none has ended, and so has one that ends too far ahead.
        where=or_(its_own, _lead.c.until <= at, _lead.c.until > latest, _lead.c.node == instead_of),
    ).returning(_lead.c.term)
    fields = {"name": RECONCILING, "node": node, "term": 1, "until": until}
    return connection.execute(statement, fields).scalar()


def hold_term(connection: Connection, term: int) -> None:
    """Check that ``term`` is current, and keep other nodes from taking over until this transaction ends.

    Raises:
        LeadLost: another node has taken over.
    """
    last = select(_lead.c.term, _lead.c.node).where(_lead.c.name == RECONCILING)
    row = connection.execute(last.with_for_update(read=True)).first()
    if row is None or row.term != term:
        leads = f"{row.node} leads" if row and row.node else "nobody leads"
        raise LeadLost(f"the lead of term {term} is lost: {leads} now")


def read_leader(connection: Connection) -> str:
    """Return the node that leads or led last, or "" if that node has retired."""
    node = connection.execute(select(_lead.c.node).where(_lead.c.name == RECONCILING)).scalar()
    return node if isinstance(node, str) else ""


def retire(connection: Connection, node: str) -> None:
    """Record that ``node`` has stopped. If it leads, another node can take over at once."""
    free = update(_lead).where(_lead.c.name == RECONCILING, _lead.c.node == node)
    # The name is emptied so that the next leader starts a new term: transactions of this term may still run.
    connection.execute(free.values(node="", until=0))
    connection.execute(update(_node).where(_node.c.node == node).values(stopped=True))
