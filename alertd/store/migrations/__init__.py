"""Migrate the schema step by step.

A migration only expands the schema (adds tables and columns). A later release contracts it, so that nodes of
two versions can share a database.
"""
