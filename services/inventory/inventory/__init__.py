"""Inventory knows which lot lies where, what it cost, and which lots a sale took."""
