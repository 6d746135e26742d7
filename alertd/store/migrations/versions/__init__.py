"""Hold one module for each revision. A released migration is never edited."""
