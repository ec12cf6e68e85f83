"""What a district tells of itself: who it is, its devices, its permits. Frozen values, read at the edge."""
