"""How the schema came to be, step by step. A step expands first, and contracts in a later release."""
