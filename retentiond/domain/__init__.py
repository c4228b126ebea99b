"""What retentiond knows and decides, as values: no clock, no input, no output."""
