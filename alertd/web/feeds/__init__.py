"""Calendars, Atom feeds, badges and countdowns."""
