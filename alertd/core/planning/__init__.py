"""What is owed: the plan, and the decisions that change it."""
