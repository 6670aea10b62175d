"""Data by link: found out at home, fetched by the host."""
