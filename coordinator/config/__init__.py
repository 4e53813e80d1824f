"""Where things are (settings, from the environment) and what the fleet is (agents.yaml)."""
