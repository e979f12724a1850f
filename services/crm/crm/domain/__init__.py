"""What crm decides: who is a customer, and what points a customer has earned."""
