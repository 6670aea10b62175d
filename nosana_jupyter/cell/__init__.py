"""What a cell needs, found without running it."""
