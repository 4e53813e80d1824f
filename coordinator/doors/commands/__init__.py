"""The commands: each parses, calls one verb and prints."""
