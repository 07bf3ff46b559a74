"""Options: how each is checked, and the table that they make."""
