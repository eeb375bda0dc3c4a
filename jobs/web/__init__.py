"""The parts that our servers share: which requests they accept, and how they start and end."""
