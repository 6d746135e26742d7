"""The databases beneath the ledger: SQLite and PostgreSQL, their upgrades and their copies."""
