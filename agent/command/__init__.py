"""Broker bytes to a verified command."""
