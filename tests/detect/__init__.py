"""Tests of detect: context, derived columns, detection rows."""
