"""What the hub does for itself: its certificate, its firmware, its restart."""
