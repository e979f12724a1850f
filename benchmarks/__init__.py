"""How fast Pomona is beside what it is made of: every figure a ratio within one round."""
