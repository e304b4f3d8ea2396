"""OpenAPI v2 and v3: the documents that kubectl reads before it validates and explains."""
