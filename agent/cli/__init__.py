"""The words of `transom`."""
