"""Rules: the model, and how Sigma documents become it."""
