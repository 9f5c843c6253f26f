"""The entry point of the built file and of `python -m chatmail`."""

from chatmail.cli import main

if __name__ == "__main__":
    main()
