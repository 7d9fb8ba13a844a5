"""`python -m cli.stack up`: the commands of the stack without the others."""

from cli.main import main

if __name__ == "__main__":
    main()
