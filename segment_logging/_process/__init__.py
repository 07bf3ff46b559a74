"""Process-level concerns: threads, forks, signals and exit."""
