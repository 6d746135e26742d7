"""The ways to tell people: one file a backend, each of which sends one message once."""
