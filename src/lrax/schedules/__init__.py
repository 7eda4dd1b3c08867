"""Schedules: a rate as a function of the update count; their plans, text, JSON and picture."""
