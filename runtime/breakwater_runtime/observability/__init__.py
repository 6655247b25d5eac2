"""What is seen of the process from outside: logs and metrics."""
