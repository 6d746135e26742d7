"""The values that the ledger holds, and the rules for retries, rate limits and breakers."""
