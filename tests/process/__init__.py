"""What a process does to us: its threads, its forks and its end."""
