"""A clip to a sealed one, uploaded, with a receipt."""
