"""``/api/v1`` and the document that describes it."""
