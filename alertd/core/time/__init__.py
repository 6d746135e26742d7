"""Instants, durations and intervals, and the texts that people write for each of these."""
