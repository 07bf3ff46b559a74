"""One POST: what is sent, where to, and what the answer means."""
