"""Virtual cameras and a small central server, for trying it out and for tests."""
