"""Schedules inside optax: learning rates read from a state, recorded, for groups of parameters, and on a plateau."""
