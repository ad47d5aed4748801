"""The owner's page: what the hub did and asks, in plain words; values in, HTML out."""
