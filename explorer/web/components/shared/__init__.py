"""What the components share: the scripts and styles they begin with, and the geometry of a lasso."""
