"""`python -m switchboard` is the command `switchboard`."""

from switchboard.entrypoints.cli import main

if __name__ == "__main__":
    main()
