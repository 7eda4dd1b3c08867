"""How updates are run: learners, batches, one engine for one lane or many."""
