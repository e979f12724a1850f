"""What identity decides: which terminals are ours, who works for us, and who is logged in."""
