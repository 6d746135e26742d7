"""Timeline files, ``milestones/*.yaml``."""
