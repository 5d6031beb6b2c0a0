"""Pages of the staff site that are more than a table of rows."""
