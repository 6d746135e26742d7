"""The only package that speaks HTTP: client, address policy, TLS, and what may be shown of an exchange."""
