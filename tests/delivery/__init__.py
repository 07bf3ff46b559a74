"""From a batch to its answer, and who waits for that."""
