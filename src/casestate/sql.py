"""The cutoffs as an SQL ``WHERE``, and the sweep of a table. Stub: being written."""
