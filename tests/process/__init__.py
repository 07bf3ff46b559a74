"""Tests for threads, forks and the end of the process."""
