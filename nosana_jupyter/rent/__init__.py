"""A host, from its rent to the end of its job."""
