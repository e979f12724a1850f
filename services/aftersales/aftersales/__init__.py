"""Aftersales takes a complaint from the customer's word to a decision and a refund."""
