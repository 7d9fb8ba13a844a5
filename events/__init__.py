"""The framework that tests event-driven systems. Empty until its issue."""
