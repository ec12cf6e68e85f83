"""`python -m infra.cli`: the same as `aupstream`."""

from infra.cli import main

if __name__ == "__main__":
    main()
