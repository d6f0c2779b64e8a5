"""HTTP with others: what may be reached, how it is fetched, how it is signed."""
