"""What every part of Forecourt shares: the pure rules, and the tables they are kept in."""
