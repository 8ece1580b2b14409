"""`python -m linexport`; what torchrun starts."""

from linexport.cli import main

if __name__ == "__main__":
    main()
