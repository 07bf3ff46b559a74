"""Tests with real processes: exits, forks, kills, a full disk. Slow, and each within a bound."""
