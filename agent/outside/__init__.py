"""The only package that touches the world; it decides nothing."""
