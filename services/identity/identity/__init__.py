"""Identity knows the terminals and the people, and vouches for them to every other service."""
