"""From a LogRecord to a message."""
