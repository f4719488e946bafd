"""The commands: verbs that turn files into files. Run them as `python -m stages.<verb>`."""
