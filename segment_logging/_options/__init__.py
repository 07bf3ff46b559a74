"""The table of options: each with its type, default, check and sentence."""
