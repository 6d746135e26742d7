"""Who leads: one row, whose term rises whenever another node takes over."""

from __future__ import annotations

from sqlalchemy import Connection, case, or_, select, update

from alertd.errors import LeadLost
from alertd.store import schema
from alertd.store.database.dialect import insert_into

_lead, _node = schema.lead, schema.node
RECONCILING = "reconcile"


def lead(connection: Connection, *, node: str, at: int, until: int, instead_of: str) -> int | None:
    """The term of ``node``, which has the lead now; None: another has it.

    Args:
        at: the instant at which whoever has it must not have run out.
    """
    insert = insert_into(connection, _lead)
    its_own = _lead.c.node == insert.excluded.node
    statement = insert.on_conflict_do_update(
        index_elements=["name"],
        set_={
            "node": insert.excluded.node,
            "term": case((its_own, _lead.c.term), else_=_lead.c.term + 1),
            "until": insert.excluded.until,
        },
        where=or_(its_own, _lead.c.until <= at, _lead.c.node == instead_of),
    ).returning(_lead.c.term)
    fields = {"name": RECONCILING, "node": node, "term": 1, "until": until}
    return connection.execute(statement, fields).scalar()


def hold(connection: Connection, term: int) -> None:
    """Return when ``term`` is the last one; nobody takes over before this transaction ends.

    Raises:
        LeadLost: another node has taken over since.
    """
    last = select(_lead.c.term, _lead.c.node).where(_lead.c.name == RECONCILING)
    row = connection.execute(last.with_for_update(read=True)).first()
    if row is None or row.term != term:
        leads = f"{row.node} leads" if row and row.node else "nobody leads"
        raise LeadLost(f"the lead of term {term} is lost: {leads} now")


def leader(connection: Connection) -> str:
    """Who has the lead, or had it last; "" when it was given back."""
    return connection.execute(select(_lead.c.node).where(_lead.c.name == RECONCILING)).scalar() or ""


def retire(connection: Connection, node: str) -> None:
    """Free the lead, if ``node`` has it, and say in its report that it has stopped."""
    free = update(_lead).where(_lead.c.name == RECONCILING, _lead.c.node == node)
    # The next one to take it begins a new term: this one's transactions may still be under way.
    connection.execute(free.values(node="", until=0))
    connection.execute(update(_node).where(_node.c.node == node).values(stopped=True))
