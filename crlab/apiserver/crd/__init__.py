"""CustomResourceDefinitions: what one may say, and how one becomes a served resource type."""
