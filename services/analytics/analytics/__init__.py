"""Analytics remembers every event of the chain and answers what spans its contexts."""
