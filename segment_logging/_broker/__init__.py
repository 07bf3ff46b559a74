"""A message broker between the processes that log and Segment: the half that publishes."""
