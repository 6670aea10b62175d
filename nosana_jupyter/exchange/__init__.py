"""NOS for other coins, through an exchange that nobody has to trust."""
