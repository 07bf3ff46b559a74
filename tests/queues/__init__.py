"""Tests for the queues: first the common contract, then what is special about each queue."""
