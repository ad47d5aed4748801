"""Whom the hub believes, about what and since when: documents, clocks, and who vouches for its log."""
