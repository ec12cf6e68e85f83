"""Events to violations: rules, engine, delivery, alerts."""
