"""retentiond removes API request data past its retention period and can prove it."""

__version__ = "0.1.0"
