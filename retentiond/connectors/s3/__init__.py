"""Buckets that keep versions, on Amazon S3 and servers that speak its language."""
