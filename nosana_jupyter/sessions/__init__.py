"""Sessions that are kept open between cells, and those that are taken up again."""
