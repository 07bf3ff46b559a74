"""Tests for turning a LogRecord into a message."""
