"""What is to be seen of a running server: log, audit stream, metrics, traces."""
