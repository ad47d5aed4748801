"""Camera to wire bytes and when they were seen."""
