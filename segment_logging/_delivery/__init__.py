"""From a batch to its answer: attempts, waits, halving, dead letters, and what callers wait for."""
