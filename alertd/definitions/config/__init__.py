"""The sections of ``alertd.yaml``, one module a section."""
