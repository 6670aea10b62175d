"""What a project's own files say about packages. Reads files and asks nobody."""
