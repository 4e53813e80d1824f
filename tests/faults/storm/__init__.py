"""A storm: random misfortunes on a live fleet, and a checker of what its agents really did meanwhile."""
