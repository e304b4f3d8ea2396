"""Reports: answers about a controller or a cluster, as text, as a frame and as HTML."""
