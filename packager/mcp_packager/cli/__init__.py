"""The command line: parsing, printing, asking and exit codes. The work is the pipeline's."""
