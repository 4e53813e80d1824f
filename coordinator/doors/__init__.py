"""Ways in: parse, call one verb, print."""
