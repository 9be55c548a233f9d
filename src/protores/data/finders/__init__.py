"""What is looked for in a data set, a file a subject; each finder takes a Scan and yields Problems."""
