"""What was found held against what truly happened, as a simulation tells it."""
