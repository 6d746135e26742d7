"""The rows of the benchmark. Each module measures one subject and returns figures."""
