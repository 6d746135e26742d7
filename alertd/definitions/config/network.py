"""Read which addresses may be connected to."""

from __future__ import annotations

from alertd.core.network import Network, Reach, parse_block
from alertd.definitions.config.keys import MAX_ALLOWED, NETWORK
from alertd.definitions.reading.nodes import Node, Scalar
from alertd.definitions.reading.reader import Reader


def network(reader: Reader, node: Node) -> Network:
    """``internal``, ``public``, or a mapping that says more; what has a problem is refused by the reader."""
    if isinstance(node, Scalar) and node.text:
        return Network(policy=reader.choice(node, Reach) or Reach.INTERNAL)
    values = reader.mapping(node, NETWORK) or {}
    policy = reader.choice(values["policy"], Reach) if "policy" in values else None
    allow = []
    if "allow" in values:
        allow = [
            reader.parsed(one, parse_block) for one in reader.items(values["allow"], "allow", MAX_ALLOWED)
        ]
        if policy is Reach.INTERNAL:
            # Who writes it there believes that it closes something.
            advice = "write policy: public, or remove it"
            reader.refuse(values["allow"], f"allow opens nothing under policy: internal; {advice}")
    return Network(policy=policy or Reach.INTERNAL, allow=tuple(one for one in allow if one is not None))
