"""Years of images through one bundle, on as many machines as there are: a folder or URL in, Parquet out."""
