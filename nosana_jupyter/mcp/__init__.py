"""What agents are offered, by the Model Context Protocol: quotes, runs, and the end of both."""
