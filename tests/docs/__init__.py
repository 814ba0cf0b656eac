"""What is written for people is true: examples run, links lead somewhere, statuses are real ones.

- `pages`: the Markdown files of the repository, and what is in them.
- `examples`: what is done with a block of each language.
- `commands`: the command lines that examples may have.
- `statuses`: all that the charm and the library can say, read from their source.
"""
