"""What after-sales decides: claims, what is owed on a purchase, and the terms of both."""
