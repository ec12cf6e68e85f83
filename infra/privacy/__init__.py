"""What people may see and how long it is kept: the unmask log, holds and retention."""
