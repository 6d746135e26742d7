"""Read the configuration and timeline files. Each problem is reported with its file, line and column."""
