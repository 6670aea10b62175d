"""Earning with a machine of one's own: what it lacks, what it could earn, its life as a host."""
