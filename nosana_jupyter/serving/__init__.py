"""Models as services: hosts that answer requests, behind one address of this machine."""
