"""Training: learners, batches, one pure core for one run or many, and the host driver."""
