"""Tests for the delivery of batches, and for the callers that wait for it."""
