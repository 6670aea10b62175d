"""What runs in the container: listens, runs cells, sends what they say. Imports only `wire`."""
