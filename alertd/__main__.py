"""``python -m alertd`` is the command ``alertd``."""

from alertd.cli import main

if __name__ == "__main__":
    main()
