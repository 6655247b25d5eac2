"""What the operator asks of servers."""
