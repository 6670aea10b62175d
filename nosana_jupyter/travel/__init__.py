"""What goes with a cell and comes back, found and packed without a host."""
