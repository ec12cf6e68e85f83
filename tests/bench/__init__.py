"""The benchmark itself: that it gives what it documents, not how fast anything is."""
