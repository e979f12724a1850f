"""The command line of Pomona: starts the stack, calls it, plays records through it and checks it."""
