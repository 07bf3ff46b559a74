"""The handler, from the caller's side."""
