"""Content-addressed files, and results by task key."""
