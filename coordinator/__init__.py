"""The coordinator decides which agent may start now; Redis remembers."""
