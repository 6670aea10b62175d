"""One function over many hosts."""
