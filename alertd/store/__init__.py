"""The ledger: in memory, which is the contract at its shortest, and in SQL."""
