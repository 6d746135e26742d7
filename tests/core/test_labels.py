"""The table of labels that alertd adds, and what is made from it."""

from dataclasses import replace

from alertd.core.milestones.occurrence import Cause
from alertd.core.routing.labels import (
    BY_NAME,
    CAUSE,
    OWNER,
    TABLE,
    keep_lasting,
    list_added_names,
    list_labels,
    list_labels_without_reminder,
    list_lasting_labels,
)
from tests.core.builders import contested


def test_each_label_of_the_table_is_matched() -> None:
    """A route can match every label of the table, and the milestone's own labels beside them."""
    found = list_labels(contested(labels={"country": "iraq"}), Cause.OVERDUE, "+1d")

    assert found.keys() <= {"country", *BY_NAME}
    assert found.keys() >= {"country", *list_added_names(contested())}


def test_an_owner_is_matched_as_a_label() -> None:
    """The label is the owner, also where an older ledger kept another one under labels."""
    made = contested(labels={"owner": "somebody else"})

    assert list_labels(replace(made, owner="Ada"), Cause.DUE, "0d")["owner"] == "Ada"
    assert "owner" not in list_labels(contested(), Cause.DUE, "0d")
    assert OWNER.name in list_added_names(replace(made, owner="Ada"))


def test_a_closed_set_of_values_is_complete() -> None:
    """A label whose values are listed never has another value."""
    found = [list_labels(contested(), cause, "0d") for cause in Cause]

    closed = [label for label in TABLE if label.values]
    assert all(labels[label.name] in label.values for labels in found for label in closed)
    assert {labels[CAUSE.name] for labels in found} == set(CAUSE.values)


def test_labels_by_how_long_they_keep_their_value() -> None:
    """What says which milestone it is, what its dates say, and what its reminder says are told apart."""
    made = contested(labels={"country": "iraq"})

    lasting = {"country": "iraq", "timeline": "iraq", "milestone": "iraq/phase-2"}
    assert list_lasting_labels(made) == lasting
    assert keep_lasting(list_labels(made, Cause.DUE, "0d")) == lasting
    assert list_labels_without_reminder(made) == {**lasting, "contested": "true"}
