"""How fast Pomona is beside what it is made of: every figure a ratio within one round."""

import warnings

warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
