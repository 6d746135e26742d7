"""Notifiers: one module for each type of receiver.

A notifier sends one message once and returns an outcome.
"""
