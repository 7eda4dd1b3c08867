"""Schedules inside optax: rates read from a state, recorded, by group, on a plateau."""
