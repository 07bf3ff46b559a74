"""What segment-logging costs, measured beside the clients that do the same: `make bench`."""
