"""What a message says, before any markup."""
