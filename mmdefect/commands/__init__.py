"""The commands of the command line, one a file; ``mmdefect.cli`` gives them their names."""
