"""How much of the policy could be watched on a day."""
