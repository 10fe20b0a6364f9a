"""A plain script, no decorator."""

print("the market is open")
