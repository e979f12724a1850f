"""The chassis of Pomona: what every service stands on, and nothing that knows fruit."""
