"""From the files people write to the core's values; every problem says its file, line and column."""
