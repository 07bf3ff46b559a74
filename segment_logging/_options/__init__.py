"""The table of options, with the type, default, check and sentence of each option."""
