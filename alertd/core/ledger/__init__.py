"""What the ledger holds, as values, and the rules by which sends end and are held back."""
