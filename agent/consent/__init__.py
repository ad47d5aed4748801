"""A verified command to the hub's own yes, no, or question to the owner."""
