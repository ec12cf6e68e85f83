"""Old lines read in a timeline of their own: dead letters that can be read by now, and old files."""
