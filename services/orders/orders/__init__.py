"""Orders sells at the till: stores, shifts, prices, till sales and what is paid back."""
