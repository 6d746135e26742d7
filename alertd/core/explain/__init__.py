"""Why something is sent, in words for people and in values for programs."""
