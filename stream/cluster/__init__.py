"""Films painted by the machines of a Ray cluster."""
