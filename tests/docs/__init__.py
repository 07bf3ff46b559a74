"""The README and the documentation: what they say is so, and what they show runs."""
