"""What segment-logging costs, compared with clients that do the same: `make bench`."""
