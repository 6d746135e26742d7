"""What the rows of the benchmark share: folders, daemons, a sink, a database, and measuring."""
