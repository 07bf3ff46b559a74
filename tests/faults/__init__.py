"""Slow tests with real processes: exits, forks, kills and full disks. Each has a time limit."""
