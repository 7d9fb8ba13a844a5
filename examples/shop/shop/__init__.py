"""A small shop of three services, to be tested: orders, inventory, payments. Standard library only."""
