"""A module without a client."""
