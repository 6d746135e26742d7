"""Instants, durations, intervals and the forms in which people write them."""
