"""What people look at: status, pages, pictures, tables."""
