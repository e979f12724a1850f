"""What inventory decides: suppliers, lots, stock on the shelf and transfers between stores."""
