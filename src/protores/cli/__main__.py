"""`python -m protores.cli`."""

from protores.cli import main

if __name__ == "__main__":
    main()
