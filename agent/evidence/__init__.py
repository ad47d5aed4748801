"""What was decided and done, to manifest and audit log."""
