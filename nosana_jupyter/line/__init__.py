"""The talk with a job's runner."""
