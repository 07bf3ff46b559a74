"""Delivery of batches: attempts, retries, halving, dead letters, and waiting for the outcome."""
