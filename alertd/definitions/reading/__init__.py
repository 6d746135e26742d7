"""YAML into nodes that know their places, and nodes into values."""
