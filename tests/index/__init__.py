"""A package index on this machine: what tool projects in the tests depend on, pinned, fetched once at set-up."""
