"""One POST, and what its answer means."""
