"""One module a revision. What was released is never edited."""
