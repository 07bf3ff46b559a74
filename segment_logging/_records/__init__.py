"""From a LogRecord to a message: is it an event, what stands in it, what is left out."""
