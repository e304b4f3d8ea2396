"""The verbs: what get, list, create, update, patch and delete do, from a body to a commit."""
