"""Who it was."""
