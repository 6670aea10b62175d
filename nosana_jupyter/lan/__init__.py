"""A team's own network, from a member's machine: invites, and the door that leads there."""
