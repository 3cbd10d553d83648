"""What the deployed stack promises, read from the templates."""
