"""The timeline page: every milestone on one axis of time."""
