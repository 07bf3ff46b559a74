"""Identities that are bound to the current context or to a logger, and how they are combined."""
