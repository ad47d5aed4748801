"""What the daemon builds its parts with, from the adapters of `outside`."""
