"""What alertd asks of the machine: its clock, its name, systemd, the environment, and where logs go."""
