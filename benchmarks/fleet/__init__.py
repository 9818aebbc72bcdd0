"""What a fleet costs: switches beside bare workflows, many waiters, histories, an entity that grows old."""
