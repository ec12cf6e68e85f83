"""Ways in which people are told of violations."""
