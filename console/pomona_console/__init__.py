"""The command line of Pomona: start the stack, call it, play records through it, check it."""
