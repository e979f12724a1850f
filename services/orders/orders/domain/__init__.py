"""The things of the shop floor: stores, products and prices, shifts, orders, returns."""
