"""What staff see of the work and of customers' connections, and what they may set going."""
