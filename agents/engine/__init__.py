"""The engine: pure, columnar, without clock or I/O."""
