"""A grant to an exact clip."""
