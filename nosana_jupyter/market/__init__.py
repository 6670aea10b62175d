"""Where a cell may run: the markets there are, and what they ask."""
