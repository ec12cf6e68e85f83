"""From Kafka messages to the engine and back: marks, checkpoints and the five agents, without Faust."""
