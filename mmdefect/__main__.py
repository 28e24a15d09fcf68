"""``python -m mmdefect`` is the command line."""

from mmdefect.cli import main

if __name__ == "__main__":
    main()
