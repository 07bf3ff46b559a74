"""A logger with a method for each of Segment's calls."""
