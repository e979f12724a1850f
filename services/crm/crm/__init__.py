"""CRM knows the customers, keeps their personal data apart, and counts their points."""
