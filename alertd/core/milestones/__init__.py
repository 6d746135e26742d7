"""The thing that has a deadline: its claims, its policy, its occurrences, and its status."""
