"""Commands that die at a chosen moment: real processes, killed by SIGKILL, with nothing in the product for it."""
