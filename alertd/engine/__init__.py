"""The daemon's engine: it wakes, reconciles the ledger with the files, and sends. It knows no adapter."""
