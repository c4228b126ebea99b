"""What receipts are made of: commitments, Merkle trees, signed statements, bundles. Pure: values in, bytes out."""
