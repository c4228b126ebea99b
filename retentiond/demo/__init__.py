"""The story that `retentiond demo` tells, and its sample data. Comes with the extra `[demo]`."""
