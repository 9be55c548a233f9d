"""An inspection station: a bundle behind HTTP, what it saw in a store, and what people say about that. No torch."""
