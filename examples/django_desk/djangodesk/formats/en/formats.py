"""Instants as a desk reads them: with the hours of the day, no "noon" among them."""

DATETIME_FORMAT = "j M Y, H:i"
