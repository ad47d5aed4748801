"""A clip on an officer's computer: collected, checked, decrypted, joined and told, without the hub's libraries."""
