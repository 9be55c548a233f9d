"""Visual inspection that learns from good images and a handful of defects."""
