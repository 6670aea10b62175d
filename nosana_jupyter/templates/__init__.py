"""Work that is ready to be run: found, read, checked, filled, signed and shared."""
