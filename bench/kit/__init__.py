"""What the rows of the benchmark share: folders of definitions, daemons, a sink, a database, and measuring."""
