"""Scripts that measure; not run as tests."""
