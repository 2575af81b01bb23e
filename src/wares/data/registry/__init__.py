"""Tables in the registry: what the store and the contracts know, versions compared, restored and cleared away."""
