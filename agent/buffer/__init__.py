"""Wire bytes to the encrypted ring."""
