"""What a cycle costs."""
