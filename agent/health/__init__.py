"""How the hub does: seen, tested, judged and told."""
