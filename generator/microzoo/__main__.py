"""`python -m microzoo` is `zoo`."""

from microzoo.cli import main

if __name__ == "__main__":
    main()
