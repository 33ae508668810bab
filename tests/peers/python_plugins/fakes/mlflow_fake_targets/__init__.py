"""Deployment plugins of the kinds that exist, and of some that should not, for the tests of the bridge."""
